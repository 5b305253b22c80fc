//! The function URL: the body is an act, and AWS has verified who sends it (`AuthType: AWS_IAM`).
//!
//! Lambda cannot tell a function that was invoked by its URL from one that was invoked directly with an event of the same shape. So
//! whoever may call `lambda:InvokeFunction` on this function without the condition `lambda:InvokedViaFunctionUrl` could claim to be anybody: the
//! runbook says how to grant it.

use std::collections::BTreeMap;

use aws::Failure;
use aws::http::{BadBody, HttpAnswer, HttpRequest};
use aws::serve::parse;
use recovery::approval::Door;
use recovery::failure::FailureName;
use serde_json::Value;

use crate::{Act, Answer, invalid};

/// No act is longer than this, bytes.
const LONGEST_BODY: usize = 16 * 1024;

/// The act, and who sends it.
///
/// # Errors
/// `InvalidEvent`; `AccessDenied` without a principal.
pub(crate) fn read(event: &Value) -> Result<(Act, Door), Failure> {
    let request = HttpRequest::read(event.clone())?;
    if request.method() != "POST" {
        return Err(invalid("an act is a POST"));
    }
    let principal = request
        .principal()
        .ok_or_else(|| {
            Failure::new(
                FailureName::AccessDenied,
                "the request is not signed by an IAM principal",
            )
        })?
        .to_owned();
    let body = request.text(LONGEST_BODY).map_err(|bad| {
        invalid(match bad {
            BadBody::TooLong => format!("an act is at most {LONGEST_BODY} bytes"),
            BadBody::NoText => "the body is no text".to_owned(),
        })
    })?;
    let body: Value =
        serde_json::from_str(&body).map_err(|e| invalid(format!("the body is no JSON: {e}")))?;
    Ok((parse(body)?, Door::Iam { principal }))
}

/// The answer as HTTP. The status tells what went wrong, the body says it in words.
pub(crate) fn answer(result: Result<Answer, Failure>) -> HttpAnswer {
    let (status_code, body) = match result {
        Ok(answer) => (200, serde_json::to_string(&answer).unwrap_or_default()),
        Err(failure) => {
            tracing::error!(name = %failure.name, message = %failure.message, "refused");
            let status = match failure.name {
                FailureName::InvalidEvent | FailureName::InvalidPlan => 400,
                FailureName::AccessDenied => 403,
                FailureName::Blocked | FailureName::LockLost | FailureName::Conflict => 409,
                FailureName::Throttled => 429,
                FailureName::Transient => 503,
                _ => 500,
            };
            let body = serde_json::json!({"errorType": failure.name.as_str(), "errorMessage": failure.message});
            (status, body.to_string())
        }
    };
    HttpAnswer {
        status_code,
        headers: BTreeMap::from([
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ]),
        body,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(authorizer: Value, body: &str) -> Value {
        json!({"requestContext": {"http": {"method": "POST"}, "authorizer": authorizer}, "body": body, "isBase64Encoded": false})
    }

    #[test]
    fn a_request_without_a_principal_is_refused_and_one_with_it_names_it() {
        let act = r#"{"act":"hold","who":"a","why":"b"}"#;
        for nobody in [
            json!(null),
            json!({}),
            json!({"iam": {"userArn": ""}}),
            json!({"iam": {"userArn": "anonymous"}}),
        ] {
            let failure = read(&event(nobody, act)).unwrap_err();
            assert_eq!(
                answer(Err(failure.clone())).status_code,
                if failure.name == FailureName::AccessDenied {
                    403
                } else {
                    400
                }
            );
        }
        let (_, door) = read(&event(
            json!({"iam": {"userArn": "arn:aws:iam::1:user/ada"}}),
            act,
        ))
        .unwrap();
        assert_eq!(door.proven(), Some("arn:aws:iam::1:user/ada"));
    }

    #[test]
    fn what_is_no_act_is_a_named_error() {
        let iam = json!({"iam": {"userArn": "arn:aws:iam::1:user/ada"}});
        for body in ["", "x", "{}", &" ".repeat(20_000)] {
            let failure = read(&event(iam.clone(), body)).unwrap_err();
            assert_eq!(failure.name, FailureName::InvalidEvent, "{body:?}");
        }
    }
}
