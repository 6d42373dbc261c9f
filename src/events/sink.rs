//! Receivers of events.

use std::sync::Arc;

use crate::events::event::Event;

/// Receives events, for example to log or count them. The loops wait for it, so it must be quick.
pub trait Sink: Send + Sync {
    /// Handles an event. Its caller waits for it.
    fn note(&self, event: &Event<'_>);
}

/// The sinks of one engine. Clones share them. The default has no sinks.
#[derive(Clone, Default)]
pub struct Events(Arc<[Arc<dyn Sink>]>);

impl Events {
    /// Returns a handle to these sinks, which receive each event in this order.
    pub fn new(sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self(sinks.into())
    }

    /// Returns a handle to these sinks and to one more, which comes last.
    #[must_use]
    pub fn and(&self, sink: Arc<dyn Sink>) -> Self {
        let sinks = self.0.iter().cloned();
        Self(sinks.chain([sink]).collect())
    }

    /// Passes an event to each sink.
    pub fn emit(&self, event: &Event<'_>) {
        for sink in &*self.0 {
            sink.note(event);
        }
    }
}
