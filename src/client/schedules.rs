//! Dynamic entries in the client for apps.

use serde::Serialize;

use crate::{
    client::{Client, arguments::ClientError},
    config::{AtPath, Context, Mistake, dynamic_entry},
    core::schedule::LeftOutReason,
};

impl Client {
    /// Sets the dynamic entry `name`, replacing any entry of that name, in one transaction.
    ///
    /// A scheduler with `--dynamic` loads it within a second, the gem's (with `DYNAMIC_SCHEDULE`) within five
    /// seconds.
    ///
    /// `entry` is what `Resque.set_schedule` of resque-scheduler 5.0 takes, as anything that serde writes as a
    /// JSON object: `class`, `queue`, `args`, `cron` or `every`, `rails_env`, `description`. Settings that only
    /// this scheduler has are in the object `rescue_scheduler`. The JSON is stored unchanged.
    ///
    /// ```
    /// # use rescue_scheduler::{client::Client, store::{Listen, PrivateServer}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = PrivateServer::start(Listen::Socket)?;
    /// # let client = Client::open(server.url(), "resque")?;
    /// let entry = serde_json::json!({
    ///     "class": "SendEmail", "queue": "mail", "args": ["ada@example.com"], "every": "1h",
    /// });
    /// client.set_schedule("mail_to_ada", &entry).await?;
    /// client.remove_schedule("mail_to_ada").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Entry`] with every error if a scheduler would reject the entry; nothing is written then.
    /// [`ClientError::Store`].
    pub async fn set_schedule(
        &self,
        name: &str,
        entry: &(impl Serialize + ?Sized),
    ) -> Result<(), ClientError> {
        let refused = |mistakes| ClientError::Entry {
            name: name.to_owned(),
            mistakes,
        };
        let json = serde_json::to_string(entry).map_err(|error| refused(error.to_string()))?;
        // The scheduler decides which environment and zone apply, so neither is checked here.
        let context = Context::default();
        let read = dynamic_entry(name, &json, &context).map_err(|found| {
            let mistakes = found.iter().filter(|it| !it.mistake.is_warning());
            let mistakes: Vec<_> = mistakes.map(ToString::to_string).collect();
            refused(mistakes.join("; "))
        })?;
        // For an entry of another environment, errors in that environment are only warnings here.
        let elsewhere = |it: &&AtPath| matches!(it.mistake, Mistake::Elsewhere(_));
        let elsewhere = read.warnings.iter().filter(elsewhere);
        let elsewhere: Vec<_> = elsewhere.map(ToString::to_string).collect();
        if !elsewhere.is_empty() {
            return Err(refused(elsewhere.join("; ")));
        }
        if let Err(left_out) = read.entry
            && left_out.reason == LeftOutReason::NoQueue
        {
            return Err(refused(format!("$: it {}", left_out.reason)));
        }
        Ok(self.console.set_entry(name, &json).await?)
    }

    /// Removes the dynamic entry `name`, in one transaction. It is no error if there is none.
    ///
    /// An entry of that name in a schedule file takes effect again.
    ///
    /// # Errors
    /// [`ClientError::Store`].
    pub async fn remove_schedule(&self, name: &str) -> Result<(), ClientError> {
        Ok(self.console.remove_entry(name).await?)
    }
}
