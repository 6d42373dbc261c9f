//! The client for apps, and dynamic entries.

use serde::Serialize;

use crate::{
    client::{Client, arguments::ClientError},
    config::{AtPath, Context, Mistake, dynamic_entry},
    core::schedule::LeftOutReason,
};

impl Client {
    /// Sets the dynamic entry `name`, in place of the one of that name, in one transaction. A scheduler
    /// with `--dynamic`, or the gem's with `DYNAMIC_SCHEDULE`, has it in force within a second or
    /// five.
    ///
    /// `entry` is what `Resque.set_schedule` of resque-scheduler 5.0 takes, anything that serde writes
    /// as a JSON object: `class`, `queue`, `args`, `cron` or `every`, `rails_env`, `description`; and
    /// in `rescue_scheduler` what only this scheduler has. It is written as it is.
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
    /// [`ClientError::Entry`] with all mistakes, if a scheduler would refuse it; nothing is written
    /// then. Else [`ClientError::Store`].
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
        // Where and in which zone it fires is for the scheduler to say.
        let context = Context::default();
        let read = dynamic_entry(name, &json, &context).map_err(|found| {
            let mistakes = found.iter().filter(|it| !it.mistake.is_warning());
            let mistakes: Vec<_> = mistakes.map(ToString::to_string).collect();
            refused(mistakes.join("; "))
        })?;
        // An entry of another environment has warnings here that are errors there.
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

    /// Removes the dynamic entry `name`, in one transaction; one of the files of that name is in force
    /// again then. It is no error if there is none.
    ///
    /// # Errors
    /// [`ClientError::Store`].
    pub async fn remove_schedule(&self, name: &str) -> Result<(), ClientError> {
        Ok(self.console.remove_entry(name).await?)
    }
}
