//! Questions of pages to lanes, which live on the main runtime.
//!
//! The two runtimes share a bounded channel. A question waits at most [`ANSWER_TIME_MAX`] on both sides; one that finds
//! [`QUESTIONS_MAX`] others before it is not asked. So a wedged lane, or a wedged main runtime, costs a page one wait
//! and shows as "no answer".

use std::future::Future;
use std::time::Duration;

use dbintel_model::Text;
use dbintel_pipeline::{Command, Reply};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

/// How long a lane may take to answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// Questions that wait or are being answered.
pub const QUESTIONS_MAX: usize = 16;

/// What the processors of a lane answered, by id.
pub type LaneReplies = Vec<(Text, Reply)>;

/// The asking side, for [`super::PageSource::lanes`].
#[derive(Clone, Debug)]
pub struct LaneAsker(mpsc::Sender<Question>);

/// The answering side, for the main runtime.
#[derive(Debug)]
pub struct LaneQuestions(mpsc::Receiver<Question>);

#[derive(Debug)]
struct Question {
    lane: Text,
    command: Command,
    reply: oneshot::Sender<LaneReplies>,
}

/// The two sides of the channel.
#[must_use]
pub fn lane_questions() -> (LaneAsker, LaneQuestions) {
    let (sender, receiver) = mpsc::channel(QUESTIONS_MAX);
    (LaneAsker(sender), LaneQuestions(receiver))
}

// === impl LaneAsker ===

impl LaneAsker {
    /// Asks every one of these lanes at once; `None` where there was no answer in time.
    pub(crate) async fn show(&self, lanes: &[Text]) -> Vec<Option<LaneReplies>> {
        self.ask(lanes, &Command::Show).await
    }

    /// The same with any command.
    pub(crate) async fn ask(&self, lanes: &[Text], command: &Command) -> Vec<Option<LaneReplies>> {
        join_all(lanes.iter().map(|lane| self.ask_one(lane, command))).await
    }

    async fn ask_one(&self, lane: &Text, command: &Command) -> Option<LaneReplies> {
        let (reply, answer) = oneshot::channel();
        let question = Question { lane: lane.clone(), command: command.clone(), reply };
        self.0.try_send(question).ok()?;
        tokio::time::timeout(ANSWER_TIME_MAX, answer).await.ok()?.ok()
    }
}

// === impl LaneQuestions ===

impl LaneQuestions {
    /// Answers until nobody can ask any more. `answer` gives what `LaneHandle::command` of the named lane gives for the
    /// command; a future of it that takes too long is dropped.
    pub async fn serve<Answer, Answering>(mut self, answer: Answer)
    where
        Answer: Fn(Text, Command) -> Answering,
        Answering: Future<Output = LaneReplies>,
    {
        let questions = futures_util::stream::poll_fn(|cx| self.0.poll_recv(cx));
        let answering = questions.for_each_concurrent(QUESTIONS_MAX, |question| {
            let answer = answer(question.lane, question.command);
            async move {
                if let Ok(replies) = tokio::time::timeout(ANSWER_TIME_MAX, answer).await {
                    // Whoever asked may have gone.
                    drop(question.reply.send(replies));
                }
            }
        });
        answering.await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    fn replies(lane: &Text) -> LaneReplies {
        let line = ("lane".into(), lane.clone());
        vec![("memory_limiter".into(), Reply { lines: vec![line], ..Reply::default() })]
    }

    #[tokio::test(start_paused = true)]
    async fn a_wedged_lane_has_no_answer_and_the_others_have() {
        let (asker, questions) = lane_questions();
        let mut tasks = JoinSet::new();
        tasks.spawn(questions.serve(|lane, _| async move {
            if lane.as_str() == "wedged" {
                std::future::pending::<()>().await;
            }
            replies(&lane)
        }));
        let lanes = ["one".into(), "wedged".into(), "two".into()];
        let answers = asker.show(&lanes).await;
        assert_eq!(answers, [Some(replies(&"one".into())), None, Some(replies(&"two".into()))]);
        drop(asker);
        tasks.join_next().await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_wedged_main_runtime_costs_one_wait() {
        let (asker, _questions) = lane_questions();
        let lanes: Vec<Text> = (0..QUESTIONS_MAX + 5).map(|n| n.to_string().into()).collect();
        let started = tokio::time::Instant::now();
        assert!(asker.show(&lanes).await.iter().all(Option::is_none));
        assert!(started.elapsed() <= ANSWER_TIME_MAX + Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_to_answer_is_no_answer_at_once() {
        let (asker, questions) = lane_questions();
        drop(questions);
        assert_eq!(asker.show(&["one".into()]).await, [None]);
    }
}
