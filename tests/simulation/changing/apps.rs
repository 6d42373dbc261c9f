//! What apps do with dynamic entries.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{super::world::now, scenario::Run, versions::dynamic};

impl Run {
    /// Apps set, change and remove dynamic entries, with the commands of resque-scheduler or in one transaction.
    pub async fn apps(self: Arc<Self>) {
        while self.changes() {
            sleep(self.milliseconds(20..1_500)).await;
            let together = {
                let world = &mut *self.world();
                if now() < world.down_until {
                    continue;
                }
                world.rng.bool()
            };
            let name = self.write();
            if !together {
                sleep(self.milliseconds(1..400)).await;
                while now() < self.world().down_until {
                    sleep(Duration::from_millis(50)).await;
                }
            }
            let world = &mut *self.world();
            let name = name.as_bytes().to_vec();
            let courses = &mut world.state.courses;
            courses.changed_at.insert(name.clone(), now());
            courses.unheard.remove(&name);
            world.model().changed_entries.insert(name);
        }
    }

    /// An app sets an entry, sets it again unchanged, or removes it.
    fn write(&self) -> &'static str {
        let world = &mut *self.world();
        let entry = dynamic(&mut world.rng);
        let name = entry.0.as_bytes();
        let kind = world.rng.u8(0..10);
        let versions = &mut world.changing.as_mut().unwrap().versions;
        let json = match kind {
            0..3 => None,
            3 | 4 => world.state.model.dynamic_entries.get(name).cloned(),
            _ => Some(versions.write_for_apps(&mut world.rng, entry, kind > 5)),
        };
        world.count(if json.is_some() {
            "dynamic entries set"
        } else {
            "dynamic entries removed"
        });
        world.model().put_dynamic(name, json.as_deref());
        let courses = &mut world.state.courses;
        courses.changed_at.insert(name.to_vec(), now());
        entry.0
    }
}
