//! The page on which a person decides. GET shows the evidence and changes nothing but the list of who looked; POST decides. It
//! needs no script. Whoever has the link can use it: it is signed, it expires, and it stands nowhere but in the message.

mod answer;
mod chart;
mod form;
mod page;
mod post;
mod short;

use aws::approvals::Approval;
use aws::http::HttpRequest;
use aws::{Failure, Invocation, Ports};
use recovery::approval::brief::one_line;
use recovery::approval::{ApprovalId, Door, LinkKeys, LinkRefusal, Standing, View};
use recovery::failure::FailureName;
use serde::Deserialize;
use serde_json::Value;

pub use answer::Answer;
use short::Short;

/// The longest name of a browser that is kept, characters.
const LONGEST_BROWSER: usize = 200;
/// Every method that is answered.
const METHODS: &str = "GET, HEAD, OPTIONS, POST";

/// What starts the function: a request to its URL.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Event(Value);

/// Who is at the other end, as far as one can know.
#[derive(Clone, Debug)]
struct Caller {
    ip: String,
    user_agent: String,
}

impl Caller {
    fn of(request: &HttpRequest) -> Self {
        let bounded = |text: &str| one_line(text).chars().take(LONGEST_BROWSER).collect();
        Self {
            ip: bounded(request.source_ip()),
            user_agent: bounded(request.user_agent()),
        }
    }

    fn door(&self) -> Door {
        Door::Page {
            ip: self.ip.clone(),
            user_agent: self.user_agent.clone(),
        }
    }
}

/// A request that is decided or can be, reached by a valid link.
struct Opened {
    approval: Approval,
    keys: LinkKeys,
}

/// Answers one request. Whatever fails inside is a page that says no more than that.
///
/// # Errors
/// `InvalidEvent` for what did not come by the function URL. Else none: a function URL would turn it into an answer without our
/// headers.
pub async fn handle(event: Event, ports: &Ports, _: &Invocation) -> Result<Answer, Failure> {
    if !HttpRequest::is_one(&event.0) {
        return Err(Failure::new(
            FailureName::InvalidEvent,
            "the page is reached by its URL, and by nothing else",
        ));
    }
    let Ok(request) = HttpRequest::read(event.0) else {
        return Ok(Answer::short(Short::NotValid));
    };
    let head = request.method() == "HEAD";
    let answer = match request.method() {
        "GET" | "HEAD" => show(&request, ports).await,
        "POST" => post::decide(&request, ports).await,
        "OPTIONS" => Ok(Answer::empty(204).allowing(METHODS)),
        _ => Ok(Answer::short(Short::Method).allowing(METHODS)),
    };
    let answer = answer.unwrap_or_else(|failure| {
        // The message names documents and parameters, never their content or the link.
        tracing::error!(name = %failure.name, message = %failure.message, "the page failed");
        Answer::short(Short::Unavailable)
    });
    Ok(if head { answer.without_body() } else { answer })
}

async fn show(request: &HttpRequest, ports: &Ports) -> Result<Answer, Failure> {
    let opened = match open(request, ports).await? {
        Ok(opened) if opened.approval.end().is_none() => opened,
        Ok(_) => return Ok(Answer::short(Short::Decided)),
        Err(short) => return Ok(Answer::short(short)),
    };
    if request.method() == "GET" {
        note_view(request, ports, &opened.approval).await;
    }
    page::render(ports, &opened, form::Filled::default(), &[], 200).await
}

/// The request behind the link, if it is decided or can be; else the page that says what is the matter, and nothing else.
async fn open(request: &HttpRequest, ports: &Ports) -> Result<Result<Opened, Short>, Failure> {
    let path = request.raw_path.strip_prefix('/').unwrap_or_default();
    if !LinkKeys::could_be(path) {
        return Ok(Err(Short::NotValid));
    }
    let Some(keys) = ports.link_keys().await? else {
        return Ok(Err(Short::NotValid));
    };
    let id = match keys.open(&ports.plan_name, path, ports.now()) {
        Ok(id) => id,
        Err(LinkRefusal::NotValid) => return Ok(Err(Short::NotValid)),
        Err(LinkRefusal::Expired) => return Ok(Err(Short::Expired)),
    };
    Ok(match ports.approval(&id).await? {
        None => Err(Short::NotValid),
        Some(approval) => match closed(&approval, &id, ports) {
            Some(short) => Err(short),
            None => Ok(Opened { approval, keys }),
        },
    })
}

/// Why nobody can decide a request any more, if it is not that somebody has. The order is that of the rule by which decisions count.
fn closed(approval: &Approval, id: &ApprovalId, ports: &Ports) -> Option<Short> {
    if approval.standing == Standing::Replaced || approval.request.id != *id {
        return Some(Short::Replaced);
    }
    if approval.end().is_some() {
        return None;
    }
    match approval.standing {
        Standing::Gone(_) => Some(Short::Gone),
        _ if ports.now() >= approval.request.expires_at => Some(Short::Expired),
        _ => None,
    }
}

/// A view that cannot be noted keeps nobody from deciding.
async fn note_view(request: &HttpRequest, ports: &Ports, approval: &Approval) {
    let caller = Caller::of(request);
    let view = View {
        at: ports.now(),
        ip: caller.ip,
        user_agent: caller.user_agent,
    };
    let asked = &approval.request;
    if let Err(failure) = ports.record_view(&asked.run, &asked.id, view).await {
        tracing::warn!(name = %failure.name, message = %failure.message, "a view could not be noted");
    }
}
