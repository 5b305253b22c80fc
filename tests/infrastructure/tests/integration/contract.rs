//! Promises between the state machine and the functions' types.

use infrastructure::contract;
use serde_json::json;

promises! {
    error_names_exist_in_rust_and_the_other_way_round: contract::error_names_are_those_of_the_functions,
        "a name that Rust does not know" => |d| d.machine["States"]["BeginRun"]["Catch"][0]["ErrorEquals"][0] = json!("LockLots"),
        "a name that nobody handles" => |d| {
            let states = d.machine["States"].as_object_mut().unwrap();
            for state in states.values_mut() {
                if let Some(names) = state.pointer_mut("/Catch/0/ErrorEquals").and_then(|names| names.as_array_mut()) {
                    names.retain(|name| name != "LockLost");
                }
            }
        };

    every_answer_is_handled_and_none_is_invented: contract::every_answer_is_handled,
        "an answer is forgotten" => |d| { d.machine["States"]["ApprovalAnswer"]["Choices"].as_array_mut().unwrap().pop(); },
        "an answer is misspelt" => |d| d.machine["States"]["FenceAnswer"]["Choices"][1]["StringEquals"] = json!("Proceeds"),
        "an answer is invented" => |d| d.machine["States"]["ValidationAnswer"]["Choices"].as_array_mut().unwrap().push(
            json!({"Variable": "$.last.Payload.answer", "StringEquals": "Skipped", "Next": "CommitTarget"})),
        "a door is forgotten" => |d| { d.machine["States"]["ChooseStage"]["Choices"].as_array_mut().unwrap().pop(); },
        "nobody looks at the answer" => |d| d.machine["States"]["ValidateSite"]["Next"] = json!("CommitTarget"),
        "another answer is looked at" => |d| d.machine["States"]["FenceAnswer"]["Choices"][0]["Variable"] = json!("$.begin.resume_at");

    every_answer_that_ends_a_run_has_its_outcome: contract::every_ending_answer_has_an_outcome,
        "an answer that means going on" => |d| d.machine["States"]["FenceAnswer"]["Choices"][2]["Next"] = json!("CloseRun"),
        "an answer that nobody knows" => |d| d.machine["States"]["FenceAnswer"]["Choices"][3]["StringEquals"] = json!("Unverified");

    every_event_is_one_that_its_function_understands: contract::every_event_is_understood,
        "a phase that does not exist" => |d| d.machine["States"]["ActivatePools"]["Parameters"]["Payload"]["phase"] = json!("pools"),
        "a field too many" => |d| d.machine["States"]["BeginRun"]["Parameters"]["Payload"]["extra"] = json!("x"),
        "a field too few" => |d| { d.machine["States"]["CommitTarget"]["Parameters"]["Payload"].as_object_mut().unwrap().remove("token.$"); },
        "a drill that begin-run does not know" => |d| d.template["Resources"]["FailoverMachine"]["Properties"]["Events"]["Drill"]["Properties"]["Input"] = json!("{\"mode\":\"rehearsal\"}"),
        "a schedule that its function refuses" => |d| d.template["Resources"]["ShutdownSiteFunction"]["Properties"]["Events"]["Schedule"]["Properties"]["Input"] = json!("{\"by\":\"clock\"}"),
        "a schedule that sends nothing" => |d| { d.template["Resources"]["HealthProbeFunction"]["Properties"]["Events"]["Schedule"]["Properties"].as_object_mut().unwrap().remove("Input"); };

    every_phase_is_asked_for_once: contract::every_phase_is_used_once,
        "a phase twice" => |d| d.machine["States"]["ActivateCompute"]["Parameters"]["Payload"]["phase"] = json!("Pools"),
        "the target is never looked at again" => |d| d.machine["States"]["RecheckReadiness"]["Parameters"]["Payload"]["phase"] = json!("target");
}

/// Functions answer a run only what its own machine understands.
#[test]
fn the_machine_says_what_it_understands() {
    let documents = infrastructure::Documents::read().unwrap();
    let said = documents
        .machine
        .pointer("/States/BeginRun/Parameters/Payload/machine");
    let known = recovery::run::MACHINE.to_string();
    assert_eq!(
        said.and_then(serde_json::Value::as_str),
        Some(known.as_str())
    );
}
