//! Trouble of hosts and of Redis.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::sleep_until;

use super::{
    super::world::{Weather, now},
    scenario::{DAY_LATER, Run, TROUBLE},
};

const HOUR: i64 = 3_600_000;

impl Run {
    /// Causes trouble for hosts and Redis until the time of trouble is over, then ends it.
    pub async fn trouble(self: Arc<Self>) {
        let mut saved = self.world().state.clone();
        let end = self.start + TROUBLE;
        // Messages that are on their way may have an effect for this long.
        let after = Duration::from_secs(4);
        let doubt = self.lease + after;
        loop {
            sleep_until(end.min(now() + self.milliseconds(50..4_000))).await;
            if self.is_quiet() {
                break;
            }
            let host = &self.hosts[self.world().rng.usize(0..2)];
            let world = &mut *self.world();
            let (kind, length) = (world.rng.u8(0..16), world.rng.u64(1..4_000));
            let length = Duration::from_millis(length);
            let changing = world.changing.as_mut().unwrap();
            match kind {
                0 | 1 => {
                    world.down_until = now() + length;
                    changing.disturb(length + after);
                }
                2..5 => {
                    *host.frozen_until.lock().unwrap() = end.min(now() + length);
                    changing.disturb(length + after);
                    world.count("freezes");
                }
                5 | 6 => {
                    changing.disturb(after);
                    host.ahead.store(world.rng.i64(-900..=900), Relaxed);
                    world.count("clock steps");
                }
                7 => saved = world.state.clone(),
                8 if saved.model.has_seen_all_of(&world.state.model) => {
                    changing.doubt(doubt);
                    world.state = saved.clone();
                    world.failovers += 1;
                    world.count("failovers");
                }
                9 => {
                    changing.doubt(doubt);
                    world.model().leave_lock("ruby:1");
                }
                10 => {
                    changing.doubt(doubt);
                    world.model().expire_lock();
                }
                11 | 12 => {
                    changing.doubt(doubt);
                    let hours = world.rng.choice([1, 6, 13, 23, 24, 30]).unwrap();
                    world.pass_by(hours * HOUR);
                }
                _ => {}
            }
        }
        {
            let world = &mut *self.world();
            world.weather = Weather {
                slowest_ms: 3,
                ..Weather::default()
            };
            world.down_until = now();
            let changing = world.changing.as_mut().unwrap();
            changing.slow_down(Duration::from_millis(3));
            changing.disturb(after);
            for host in &self.hosts {
                host.ahead.store(world.rng.i64(-200..=200), Relaxed);
            }
        }
        sleep_until(self.start + DAY_LATER).await;
        let world = &mut *self.world();
        world
            .changing
            .as_mut()
            .unwrap()
            .doubt(Duration::from_secs(1));
        world.pass_by(25 * HOUR);
    }
}
