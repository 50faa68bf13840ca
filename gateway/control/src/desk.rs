//! Control's end towards one shard: questions about binds are judged, directives are sent.

use crate::auth::{AuthQuestion, Authenticator, Verdict};
use crate::publish::Published;
use runtime::{Full, Receiver, Sender};
use shard::{BindAnswer, BindQuestion, Directive, Notice, Plan};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Control's ends of one shard's two mailboxes.
pub struct ShardDesk {
    /// What the shard tells.
    pub notices: Receiver<Notice>,
    /// What it is told.
    pub directives: Sender<Directive>,
}

/// Notices taken at once.
const NOTICES_MAX: usize = 256;
/// Answers that wait to be passed on: more than a shard has links, each of which waits for one at most.
const ANSWERS_MAX: usize = 65_536;
/// How long to wait before a full mailbox is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// A bind whose password was checked.
struct Judged {
    question: BindQuestion,
    verdict: Verdict,
    /// By which credentials; see [`Published::generation`].
    generation: u64,
}

/// Serves one shard until it has drained or is gone.
pub(crate) async fn serve(
    mut desk: ShardDesk,
    authenticator: Authenticator,
    mut draining: watch::Receiver<bool>,
    mut plans: watch::Receiver<Published>,
) {
    let (judged_in, mut judged) = mpsc::channel(ANSWERS_MAX);
    let mut notices = Vec::with_capacity(NOTICES_MAX);
    let mut early: VecDeque<Judged> = VecDeque::new();
    let mut waiting: VecDeque<Directive> = VecDeque::new();
    let mut told_to_drain = false;
    let mut generation = 0;
    loop {
        if let Some(plan) = newer(&mut plans, &mut generation) {
            // What the shard was not told yet it need not be told any more.
            waiting.retain(|directive| !matches!(directive, Directive::Publish(_)));
            waiting.push_back(Directive::Publish(plan));
        }
        for one in std::mem::take(&mut early) {
            pass_on(one, generation, &authenticator, &judged_in, &mut early, &mut waiting);
        }
        while let Ok(one) = judged.try_recv() {
            pass_on(one, generation, &authenticator, &judged_in, &mut early, &mut waiting);
        }
        send(&mut desk.directives, &mut waiting);
        tokio::select! {
            taken = desk.notices.receive(&mut notices, NOTICES_MAX) => {
                if taken.is_err() {
                    return; // the shard is gone
                }
            }
            Some(one) = judged.recv() => early.push_back(one),
            changed = draining.changed(), if !told_to_drain => {
                told_to_drain = true;
                if changed.is_ok() {
                    waiting.push_back(Directive::Drain);
                }
            }
            Ok(()) = plans.changed() => {}
            () = tokio::time::sleep(RETRY), if !waiting.is_empty() => {}
        }
        for notice in notices.drain(..) {
            match notice {
                Notice::Bind(question) => judge(&authenticator, question, judged_in.clone()),
                Notice::Drained => return,
            }
        }
    }
}

/// The newest plan, if it is newer than the one of this generation.
fn newer(plans: &mut watch::Receiver<Published>, generation: &mut u64) -> Option<Arc<Plan>> {
    let newest = plans.borrow_and_update();
    if newest.generation <= *generation {
        return None;
    }
    *generation = newest.generation;
    newest.plan.clone()
}

/// Tells the shard what was found of a bind's password. Both must be of one configuration: what was judged by older
/// credentials than those in force is judged again, and what was judged by newer ones than the shard's plan waits for that.
fn pass_on(
    judged: Judged,
    generation: u64,
    authenticator: &Authenticator,
    judged_in: &mpsc::Sender<Judged>,
    early: &mut VecDeque<Judged>,
    waiting: &mut VecDeque<Directive>,
) {
    if judged.generation < authenticator.generation() {
        return judge(authenticator, judged.question, judged_in.clone());
    }
    if judged.generation > generation {
        return early.push_back(judged);
    }
    let BindQuestion { ticket, account, .. } = judged.question;
    let answer = match judged.verdict {
        Verdict::Right(found) if found == account => BindAnswer::Right(ticket),
        Verdict::Right(_) | Verdict::Wrong => BindAnswer::Wrong(ticket),
        Verdict::Busy => BindAnswer::Busy(ticket),
    };
    waiting.push_back(Directive::Bind(answer));
}

fn judge(authenticator: &Authenticator, question: BindQuestion, judged: mpsc::Sender<Judged>) {
    let (system_id, password) = (question.system_id.clone(), question.password.clone());
    let asked = AuthQuestion {
        system_id: &system_id,
        password: &password,
        address: question.peer.ip(),
        waits: question.waits.clone(),
    };
    authenticator.ask(asked, move |verdict, generation| {
        // The shard may have ended meanwhile; it cannot be full, see its bound.
        let _ = judged.try_send(Judged { question, verdict, generation });
    });
}

fn send(directives: &mut Sender<Directive>, waiting: &mut VecDeque<Directive>) {
    if waiting.is_empty() {
        return;
    }
    while let Some(directive) = waiting.pop_front() {
        if let Err(Full(directive)) = directives.push(directive) {
            waiting.push_front(directive);
            break;
        }
    }
    directives.ring();
}
