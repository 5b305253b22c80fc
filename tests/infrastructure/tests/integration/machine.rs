//! Promises of the state machine alone.

use infrastructure::{choices, graph, stages, tasks};
use serde_json::json;

promises! {
    every_task_times_out_after_its_function: tasks::every_task_outwaits_its_function,
        "a task gives up first" => |d| d.machine["States"]["FenceSite"]["TimeoutSeconds"] = json!(900),
        "a function may take longer" => |d| d.template["Resources"]["BeginRunFunction"]["Properties"]["Timeout"] = json!(90),
        "no timeout" => |d| { d.machine["States"]["InformUsersStarted"].as_object_mut().unwrap().remove("TimeoutSeconds"); },
        "a function that nobody deploys" => |d| d.machine["States"]["BeginRun"]["Parameters"]["FunctionName"] = json!("${OtherFunctionArn}");

    no_task_token_exists: tasks::no_task_waits_for_a_token,
        "a callback" => |d| d.machine["States"]["RequestApproval"]["Resource"] = json!("arn:aws:states:::lambda:invoke.waitForTaskToken"),
        "a token in the payload" => |d| d.machine["States"]["RequestApproval"]["Parameters"]["Payload"]["t.$"] = json!("$$.Task.Token");

    transient_errors_are_retried_by_name_and_nothing_else: tasks::transient_errors_are_retried_by_name,
        "no retry" => |d| { d.machine["States"]["CommitTarget"].as_object_mut().unwrap().remove("Retry"); },
        "everything is retried" => |d| d.machine["States"]["CommitTarget"]["Retry"][0]["ErrorEquals"] = json!(["States.ALL"]),
        "one of Lambda's own is missing" => |d| { d.machine["States"]["BeginRun"]["Retry"][0]["ErrorEquals"].as_array_mut().unwrap().remove(3); },
        "one of ours is missing" => |d| { d.machine["States"]["BeginRun"]["Retry"][1]["ErrorEquals"].as_array_mut().unwrap().pop(); },
        "a refusal is retried" => |d| d.machine["States"]["BeginRun"]["Retry"][1]["ErrorEquals"][0] = json!("LockLost"),
        "no jitter" => |d| d.machine["States"]["BeginRun"]["Retry"][1]["JitterStrategy"] = json!("NONE"),
        "no longest delay" => |d| { d.machine["States"]["InformUsersStarted"]["Retry"][0].as_object_mut().unwrap().remove("MaxDelaySeconds"); },
        "no end" => |d| { d.machine["States"]["BeginRun"]["Retry"][0].as_object_mut().unwrap().remove("MaxAttempts"); };

    every_other_error_is_caught_and_closes_the_run: tasks::every_failure_is_caught,
        "no catch" => |d| { d.machine["States"]["ValidateSite"].as_object_mut().unwrap().remove("Catch"); },
        "only our names" => |d| { d.machine["States"]["ValidateSite"]["Catch"].as_array_mut().unwrap().pop(); },
        "the error is lost" => |d| d.machine["States"]["ValidateSite"]["Catch"][1]["ResultPath"] = json!("$.note"),
        "the state is lost" => |d| { d.machine["States"]["InformUsersStarted"]["Catch"][0].as_object_mut().unwrap().remove("ResultPath"); },
        "a failed validation goes on" => |d| d.machine["States"]["ValidateSite"]["Catch"][1]["Next"] = json!("CommitTarget"),
        "closing closes again" => |d| d.machine["States"]["CloseRun"]["Catch"][0]["Next"] = json!("CloseRun");

    the_state_carries_keys_and_counts: tasks::payloads_carry_keys_and_counts,
        "the whole state" => |d| d.machine["States"]["ActivatePools"]["Parameters"]["Payload"]["state.$"] = json!("$"),
        "an older answer" => |d| d.machine["States"]["ActivatePools"]["Parameters"]["Payload"]["jobs.$"] = json!("$.last.Payload.jobs"),
        "a notice to a function" => |d| d.machine["States"]["ActivatePools"]["Parameters"]["Payload"]["notice.$"] = json!("$.last.Payload.notice.message"),
        "a list" => |d| d.machine["States"]["ActivatePools"]["Parameters"]["Payload"]["jobs"] = json!([1, 2]),
        "what begin-run never said" => |d| d.machine["States"]["ActivatePools"]["Parameters"]["Payload"]["run.$"] = json!("$.begin.name"),
        "an answer replaces the state" => |d| d.machine["States"]["ActivatePools"]["ResultPath"] = json!("$"),
        "an answer is kept elsewhere" => |d| d.machine["States"]["ActivatePools"]["ResultPath"] = json!("$.jobs");

    an_answer_that_nobody_knows_fails: choices::every_unknown_answer_fails,
        "no default" => |d| { d.machine["States"]["ApprovalAnswer"].as_object_mut().unwrap().remove("Default"); },
        "go on by default" => |d| d.machine["States"]["ApprovalAnswer"]["Default"] = json!("FenceSite"),
        "close by default, by the older answer" => |d| d.machine["States"]["ApprovalAnswer"]["Default"] = json!("CloseRun"),
        "succeed by default" => |d| d.machine["States"]["Outcome"]["Default"] = json!("Completed"),
        "the error is not noted" => |d| d.machine["States"]["UnknownAnswer"]["ResultPath"] = json!("$.note"),
        "the error has no name" => |d| d.machine["States"]["UnknownAnswer"]["Result"]["Error"] = json!("");

    every_decision_is_a_value_that_rust_computed: choices::choices_only_compare_answers,
        "a number" => |d| d.machine["States"]["ReadinessAnswer"]["Choices"][0] = json!({"Variable": "$.last.Payload.missing", "NumericEquals": 0, "Next": "RequestApproval"}),
        "a condition" => |d| d.machine["States"]["ReadinessAnswer"]["Choices"][0] = json!({"Not": {"Variable": "$.last.Payload.answer", "StringEquals": "Ready"}, "Next": "CloseRun"});

    only_completed_is_success: choices::only_completed_is_success,
        "another outcome succeeds" => |d| d.machine["States"]["Outcome"]["Choices"][0]["StringEquals"] = json!("Declined"),
        "a stage succeeds by itself" => |d| d.machine["States"]["InformUsersFinished"]["Next"] = json!("Completed"),
        "a stage just ends" => |d| d.machine["States"]["InformUsersFinished"]["End"] = json!(true);

    only_state_types_that_the_rules_know: graph::only_known_types,
        "a map" => |d| d.machine["States"]["UnknownAnswer"]["Type"] = json!("Map");

    every_next_exists: graph::every_arrow_leads_somewhere,
        "nowhere" => |d| d.machine["States"]["BeginRun"]["Next"] = json!("Nowhere"),
        "catch to nowhere" => |d| d.machine["States"]["BeginRun"]["Catch"][0]["Next"] = json!("Nowhere"),
        "choice to nowhere" => |d| d.machine["States"]["FenceAnswer"]["Choices"][1]["Next"] = json!("Nowhere"),
        "no next" => |d| { d.machine["States"]["BeginRun"].as_object_mut().unwrap().remove("Next"); },
        "no start" => |d| d.machine["StartAt"] = json!("Nowhere");

    every_state_is_reachable: graph::every_state_is_reachable,
        "a forgotten state" => |d| d.machine["States"]["Forgotten"] = json!({"Type": "Succeed"}),
        "a stage is left out" => |d| d.machine["States"]["RecheckAnswer"]["Choices"][0]["Next"] = json!("ActivatePools");

    every_state_has_a_way_to_an_end: graph::every_state_has_a_way_to_an_end,
        "a trap" => |d| d.machine["States"]["Outcome"] = json!({"Type": "Pass", "Next": "Outcome"});

    every_loop_waits: graph::every_loop_waits,
        "ask at once" => |d| d.machine["States"]["ApprovalAnswer"]["Choices"][0]["Next"] = json!("RequestApproval"),
        "fence at once" => |d| d.machine["States"]["FenceAnswer"]["Choices"][0]["Next"] = json!("FenceSite");

    every_wait_is_as_long_as_the_plan_says: graph::every_wait_comes_from_the_plan,
        "seconds" => |d| d.machine["States"]["WaitForFence"] = json!({"Type": "Wait", "Seconds": 5, "Next": "FenceSite"}),
        "seconds of something else" => |d| d.machine["States"]["WaitForFence"]["SecondsPath"] = json!("$.last.Payload.wait");

    an_execution_ends_in_time: graph::the_execution_ends_in_time,
        "no limit" => |d| { d.machine.as_object_mut().unwrap().remove("TimeoutSeconds"); };

    jsonpath_is_the_only_language: graph::jsonpath_everywhere,
        "the machine" => |d| d.machine["QueryLanguage"] = json!("JSONata"),
        "a state" => |d| d.machine["States"]["CommitTarget"]["QueryLanguage"] = json!("JSONata"),
        "an expression" => |d| d.machine["States"]["UnknownAnswer"]["Result"]["Cause"] = json!("{% $states.input %}");

    nothing_is_written_at_the_target_before_approval_fence_validation_and_commit: stages::every_stage_comes_after_the_one_before,
        "no approval" => |d| d.machine["States"]["ReadinessAnswer"]["Choices"][0]["Next"] = json!("FenceSite"),
        "declined goes on" => |d| d.machine["States"]["ApprovalAnswer"]["Choices"][2]["Next"] = json!("FenceSite"),
        "no fence" => |d| d.machine["States"]["ChooseFence"]["Choices"][0]["Next"] = json!("RecheckReadiness"),
        "unverified goes on" => |d| d.machine["States"]["FenceAnswer"]["Choices"][3]["Next"] = json!("RecheckReadiness"),
        "no validation" => |d| d.machine["States"]["ActivateComputeAnswer"]["Choices"][1]["Next"] = json!("CommitTarget"),
        "failed validation goes on" => |d| d.machine["States"]["ValidationAnswer"]["Choices"][2]["Next"] = json!("CommitTarget"),
        "no commit" => |d| d.machine["States"]["ChooseCommit"]["Choices"][0]["Next"] = json!("RestoreJobConcurrency"),
        "a switchover without a record" => |d| d.machine["States"]["ChooseFence"]["Choices"][1]["Next"] = json!("FenceSite"),
        "a drill without a rehearsal" => |d| d.machine["States"]["ChooseAsk"]["Choices"][2]["Next"] = json!("ActivatePools"),
        "a drill that may not fence goes on" => |d| d.machine["States"]["RehearsalAnswer"]["Choices"][2]["Next"] = json!("ActivatePools"),
        "schedules first" => |d| d.machine["States"]["RestoreJobConcurrencyAnswer"]["Choices"][1]["Next"] = json!("RestoreSchedules");

    a_drill_fences_commits_and_switches_nothing: stages::no_mode_reaches_the_stages_of_another,
        "a drill asks" => |d| d.machine["States"]["ChooseAsk"]["Choices"][2]["Next"] = json!("RequestApproval"),
        "a drill commits" => |d| d.machine["States"]["ChooseCommit"]["Choices"][2]["Next"] = json!("CommitTarget"),
        "a failed drill leaves all as it is" => |d| {
            d.machine["States"]["ChooseCommit"]["Choices"][2]["Next"] = json!("CloseRun");
            d.machine["States"]["ChooseAfterFailure"]["Choices"][2]["Next"] = json!("CloseRun");
        },
        "a failover resets a site that is dark" => |d| d.machine["States"]["ChooseEnd"]["Choices"][0]["Next"] = json!("PrepareStandby");

    a_resumed_run_enters_where_its_stage_says: stages::every_door_leads_to_its_stage,
        "an approved run commits at once" => |d| d.machine["States"]["ChooseStage"]["Choices"][1]["Next"] = json!("CommitTarget"),
        "a committed run is fenced again" => |d| d.machine["States"]["ChooseStage"]["Choices"][2]["Next"] = json!("FenceSite");
}
