//! Promises of the template.

use std::collections::BTreeSet;
use std::path::Path;

use infrastructure::{Documents, Violation, file, functions, permissions, stack};
use recovery::plan::Plan;
use serde_json::json;

fn crates(documents: &Documents) -> Vec<Violation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
    let names: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    functions::every_function_has_its_crate(documents, &names)
}

fn specific(documents: &Documents) -> Vec<Violation> {
    let plan = serde_json::from_str(&file("infra/plan.example.json").unwrap()).unwrap();
    stack::nothing_is_specific_to_a_plan(documents, &plan)
}

promises! {
    every_function_is_a_crate_and_the_other_way_round: crates,
        "a function is left out" => |d| { d.template["Resources"].as_object_mut().unwrap().remove("OperateFunction"); },
        "two run the same binary" => |d| d.template["Resources"]["OperateFunction"]["Properties"]["CodeUri"] = json!("../target/lambda/begin-run/"),
        "another binary" => |d| d.template["Globals"]["Function"]["Handler"] = json!("main");

    every_function_has_its_own_role: functions::every_function_has_its_own_role,
        "the role of another" => |d| d.template["Resources"]["CloseRunFunction"]["Properties"]["Role"] = json!({"Fn::GetAtt": ["OperateFunctionRole", "Arn"]}),
        "one that others may take" => |d| d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = json!({"AWS": "*"}),
        "no policies" => |d| { d.template["Resources"]["CloseRunFunctionRole"]["Properties"].as_object_mut().unwrap().remove("Policies"); };

    every_function_has_a_log_group_with_retention: functions::every_function_has_a_log_group_with_retention,
        "no group" => |d| { d.template["Resources"].as_object_mut().unwrap().remove("CloseRunLogs"); },
        "kept for ever" => |d| { d.template["Resources"]["CloseRunLogs"]["Properties"].as_object_mut().unwrap().remove("RetentionInDays"); },
        "the group of another function" => |d| d.template["Resources"]["CloseRunLogs"]["Properties"]["LogGroupName"] = json!({"Fn::Sub": "/aws/lambda/databricks-dr-${PlanName}-close"});

    every_function_is_traced: functions::every_function_is_traced,
        "none" => |d| { d.template["Globals"]["Function"].as_object_mut().unwrap().remove("Tracing"); },
        "one is not" => |d| d.template["Resources"]["CloseRunFunction"]["Properties"]["Tracing"] = json!("PassThrough");

    every_function_logs_at_the_level_of_the_parameter: functions::every_function_logs_as_the_parameter_says,
        "text" => |d| d.template["Globals"]["Function"]["LoggingConfig"]["LogFormat"] = json!("Text"),
        "a reserved variable" => |d| d.template["Resources"]["CloseRunFunction"]["Properties"]["Environment"] = json!({"Variables": {"AWS_LAMBDA_LOG_LEVEL": "debug"}});

    no_run_waits_for_a_reserved_concurrency: functions::no_run_waits_for_a_reserved_concurrency,
        "a capture" => |d| d.template["Resources"]["CaptureBaselineFunction"]["Properties"]["ReservedConcurrentExecutions"] = json!(1);

    every_function_ends_in_time: functions::every_function_has_a_timeout,
        "too long" => |d| d.template["Resources"]["ShutdownSiteFunction"]["Properties"]["Timeout"] = json!(901),
        "Lambda's 3 seconds" => |d| { d.template["Resources"]["ShutdownSiteFunction"]["Properties"].as_object_mut().unwrap().remove("Timeout"); };

    what_an_event_starts_has_a_dead_letter_queue: functions::every_started_function_has_a_dead_letter_queue,
        "a scheduled one" => |d| { d.template["Resources"]["CaptureBaselineFunction"]["Properties"].as_object_mut().unwrap().remove("DeadLetterQueue"); },
        "the target of the rule" => |d| { d.template["Resources"]["CloseRunFunction"]["Properties"].as_object_mut().unwrap().remove("DeadLetterQueue"); },
        "a queue that does not exist" => |d| { d.template["Resources"].as_object_mut().unwrap().remove("DeadLetters"); };

    what_runs_every_minute_is_never_repeated: functions::every_schedule_says_how_old_its_event_may_be,
        "an old probe" => |d| d.template["Resources"]["HealthProbeFunction"]["Properties"]["Events"]["Schedule"]["Properties"]["RetryPolicy"]["MaximumEventAgeInSeconds"] = json!(300),
        "two fences at once" => |d| d.template["Resources"]["ShutdownSiteFunction"]["Properties"]["Events"]["Schedule"]["Properties"]["RetryPolicy"]["MaximumRetryAttempts"] = json!(1),
        "no watch" => |d| { d.template["Resources"]["ShutdownSiteFunction"]["Properties"].as_object_mut().unwrap().remove("Events"); },
        "a day of retries" => |d| { d.template["Resources"]["CaptureBaselineFunction"]["Properties"]["Events"]["Schedule"]["Properties"].as_object_mut().unwrap().remove("RetryPolicy"); };

    every_policy_is_written_out: permissions::every_policy_is_written_out,
        "a managed policy" => |d| d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["Policies"] = json!(["AdministratorAccess"]),
        "by exclusion" => |d| d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0] = json!({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": ["x"]});

    no_action_is_a_wildcard: permissions::no_action_is_a_wildcard,
        "a service" => |d| d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] = json!("s3:*"),
        "everything" => |d| d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] = json!(["*"]),
        "some" => |d| d.template["Resources"]["FailoverMachineRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] = json!(["lambda:Invoke*"]);

    every_resource_is_named: permissions::every_resource_is_named,
        "everything" => |d| d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"] = json!("*"),
        "every bucket" => |d| d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"] = json!(["arn:aws:s3:::*"]),
        "every parameter" => |d| d.template["Resources"]["CheckReadinessFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"] =
            json!([{"Fn::Sub": "arn:${AWS::Partition}:ssm:*:${AWS::AccountId}:parameter/*"}]);

    every_statement_has_a_name_of_its_own: permissions::every_statement_is_named,
        "none" => |d| { d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0].as_object_mut().unwrap().remove("Sid"); },
        "one twice" => |d| d.template["Resources"]["CloseRunFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Sid"] = json!("ListsState");

    who_only_reads_a_workspace_cannot_read_operator_credentials: permissions::only_those_who_change_a_site_read_operator_credentials,
        "every credential" => |d| d.template["Resources"]["HealthProbeFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][5]["Resource"][0] =
            json!({"Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/databricks-dr/${PlanName}/sites/*/credentials/*"}),
        "every parameter" => |d| d.template["Resources"]["HealthProbeFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][5]["Resource"][0] =
            json!({"Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/databricks-dr/${PlanName}/*"}),
        "one operator" => |d| d.template["Resources"]["CaptureBaselineFunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][3]["Resource"][0] =
            json!({"Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/databricks-dr/${PlanName}/sites/primary/credentials/operator*"});

    what_happened_cannot_be_deleted: permissions::what_happened_is_not_deleted,
        "a report can" => |d| { d.template["Resources"]["StateBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][1]["Resource"].as_array_mut().unwrap().remove(1); },
        "its versions can" => |d| d.template["Resources"]["StateBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][1]["Action"] = json!(["s3:DeleteObject"]),
        "by some" => |d| d.template["Resources"]["StateBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][1]["Condition"] = json!({"Bool": {"x": "true"}});

    every_role_can_be_limited_by_a_boundary: permissions::every_role_takes_the_boundary,
        "one cannot" => |d| { d.template["Resources"]["CloseRunFunctionRole"]["Properties"].as_object_mut().unwrap().remove("PermissionsBoundary"); },
        "that of a schedule" => |d| { d.template["Resources"]["HealthProbeFunction"]["Properties"]["Events"]["Schedule"]["Properties"].as_object_mut().unwrap().remove("PermissionsBoundary"); };

    topics_are_encrypted_and_alarms_reach_them: permissions::every_topic_is_encrypted,
        "plain" => |d| { d.template["Resources"]["UsersTopic"]["Properties"].as_object_mut().unwrap().remove("KmsMasterKeyId"); },
        "the account's key, which alarms cannot use" => |d| d.template["Resources"]["UsersTopic"]["Properties"]["KmsMasterKeyId"] = json!("alias/aws/sns"),
        "alarms are lost" => |d| { d.template["Resources"]["NoticesKey"]["Properties"]["KeyPolicy"]["Statement"].as_array_mut().unwrap().pop(); };

    the_machine_invokes_its_functions_and_no_others: permissions::the_machine_invokes_only_its_functions,
        "too few" => |d| { d.template["Resources"]["FailoverMachineRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"].as_array_mut().unwrap().pop(); },
        "too many" => |d| d.template["Resources"]["FailoverMachineRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"].as_array_mut().unwrap()
            .push(json!({"Fn::GetAtt": ["OperateFunction", "Arn"]}));

    the_bucket_answers_only_over_tls: permissions::the_bucket_answers_only_over_tls,
        "no policy" => |d| { d.template["Resources"].as_object_mut().unwrap().remove("StateBucketPolicy"); },
        "only the objects" => |d| { d.template["Resources"]["StateBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]["Resource"].as_array_mut().unwrap().remove(0); },
        "allowed" => |d| d.template["Resources"]["StateBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]["Effect"] = json!("Allow");

    the_machine_is_standard_logged_without_data_and_traced: stack::the_machine_is_logged_and_traced,
        "express" => |d| d.template["Resources"]["FailoverMachine"]["Properties"]["Type"] = json!("EXPRESS"),
        "errors only" => |d| d.template["Resources"]["FailoverMachine"]["Properties"]["Logging"]["Level"] = json!("ERROR"),
        "with data" => |d| d.template["Resources"]["FailoverMachine"]["Properties"]["Logging"]["IncludeExecutionData"] = json!(true),
        "untraced" => |d| d.template["Resources"]["FailoverMachine"]["Properties"]["Tracing"]["Enabled"] = json!(false),
        "kept for ever" => |d| { d.template["Resources"]["FailoverMachineLogs"]["Properties"].as_object_mut().unwrap().remove("RetentionInDays"); };

    every_name_in_the_machine_is_filled_in: stack::every_substitution_is_used,
        "one is missing" => |d| { d.template["Resources"]["FailoverMachine"]["Properties"]["DefinitionSubstitutions"].as_object_mut().unwrap().remove("UsersTopicArn"); },
        "one too many" => |d| d.template["Resources"]["FailoverMachine"]["Properties"]["DefinitionSubstitutions"]["Extra"] = json!("x");

    an_execution_that_ends_badly_raises_an_alarm: stack::every_bad_end_raises_an_alarm,
        "timeouts are missed" => |d| { d.template["Resources"].as_object_mut().unwrap().remove("RunTimedOutAlarm"); },
        "aborts are missed" => |d| d.template["Resources"]["RunAbortedAlarm"]["Properties"]["MetricName"] = json!("ExecutionsFailed"),
        "another machine" => |d| d.template["Resources"]["RunFailedAlarm"]["Properties"]["Dimensions"][0]["Value"] = json!("x"),
        "nobody is told" => |d| { d.template["Resources"]["RunTimedOutAlarm"]["Properties"].as_object_mut().unwrap().remove("AlarmActions"); };

    a_stopped_execution_is_closed_too: stack::every_ended_execution_is_closed,
        "no rule" => |d| { d.template["Resources"].as_object_mut().unwrap().remove("ExecutionEndedRule"); },
        "timeouts are missed" => |d| d.template["Resources"]["ExecutionEndedRule"]["Properties"]["EventPattern"]["detail"]["status"] = json!(["ABORTED", "FAILED"]),
        "another machine" => |d| d.template["Resources"]["ExecutionEndedRule"]["Properties"]["EventPattern"]["detail"]["stateMachineArn"] = json!(["x"]),
        "another function" => |d| d.template["Resources"]["ExecutionEndedRule"]["Properties"]["Targets"][0]["Arn"] = json!({"Fn::GetAtt": ["OperateFunction", "Arn"]}),
        "no dead letters" => |d| { d.template["Resources"]["ExecutionEndedRule"]["Properties"]["Targets"][0].as_object_mut().unwrap().remove("DeadLetterConfig"); },
        "no permission" => |d| { d.template["Resources"].as_object_mut().unwrap().remove("ExecutionEndedPermission"); },
        "the queue refuses it" => |d| { d.template["Resources"].as_object_mut().unwrap().remove("DeadLettersPolicy"); };

    the_bucket_is_versioned_encrypted_private_and_kept: stack::the_bucket_is_safe,
        "not versioned" => |d| d.template["Resources"]["StateBucket"]["Properties"]["VersioningConfiguration"]["Status"] = json!("Suspended"),
        "not encrypted" => |d| { d.template["Resources"]["StateBucket"]["Properties"].as_object_mut().unwrap().remove("BucketEncryption"); },
        "public" => |d| d.template["Resources"]["StateBucket"]["Properties"]["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"] = json!(false),
        "deleted with the stack" => |d| { d.template["Resources"]["StateBucket"].as_object_mut().unwrap().remove("DeletionPolicy"); };

    the_template_serves_every_plan: specific,
        "a region" => |d| d.template["Resources"]["NoticesTopic"]["Properties"]["DisplayName"] = json!("dr of eu-central-1"),
        "an account" => |d| d.template["Resources"]["NoticesTopic"]["Properties"]["DisplayName"] = json!("123456789012"),
        "a workspace" => |d| d.machine["Comment"] = json!("1444828305810485"),
        "a bucket" => |d| d.template["Parameters"]["DataBucketPattern"]["Default"] = json!("example-lake-us-east-1"),
        "a URL" => |d| d.template["Description"] = json!("https://example.cloud.databricks.com"),
        "the plan" => |d| d.template["Resources"]["StateBucket"]["Properties"]["BucketName"] = json!("databricks-dr/lakehouse");
}

#[test]
fn the_example_plan_is_accepted() {
    let plan = Plan::parse(file("infra/plan.example.json").unwrap().as_bytes());
    assert_eq!(
        plan.map(|plan| plan.name.as_str().to_owned()).unwrap(),
        "lakehouse"
    );
}

/// An observer is a function like any other.
#[test]
fn an_observer_keeps_the_same_rules() {
    type Rule = fn(&Documents) -> Vec<Violation>;
    let rules: [(&str, Rule); 15] = [
        ("role", functions::every_function_has_its_own_role),
        (
            "logs",
            functions::every_function_has_a_log_group_with_retention,
        ),
        ("traces", functions::every_function_is_traced),
        (
            "log level",
            functions::every_function_logs_as_the_parameter_says,
        ),
        ("timeout", functions::every_function_has_a_timeout),
        (
            "dead letters",
            functions::every_started_function_has_a_dead_letter_queue,
        ),
        (
            "schedule",
            functions::every_schedule_says_how_old_its_event_may_be,
        ),
        ("policies", permissions::every_policy_is_written_out),
        ("actions", permissions::no_action_is_a_wildcard),
        ("resources", permissions::every_resource_is_named),
        ("names", permissions::every_statement_is_named),
        (
            "credentials",
            permissions::only_those_who_change_a_site_read_operator_credentials,
        ),
        ("boundary", permissions::every_role_takes_the_boundary),
        ("topics", permissions::every_topic_is_encrypted),
        (
            "events",
            infrastructure::contract::every_event_is_understood,
        ),
    ];
    let observer = Documents::observer().unwrap();
    assert_eq!(observer.functions().len(), 1);
    assert_eq!(observer.functions()[0].package, "health-probe");
    for (name, rule) in rules {
        assert_eq!(rule(&observer), [], "{name}");
    }
    assert_eq!(specific(&observer), []);
}

/// Both regions take in what AWS Health says: one hands it to the function, the other hands it on.
#[test]
fn what_aws_health_says_arrives() {
    let pattern = json!({"source": ["aws.health"]});
    let rule = |documents: &Documents, id: &str| {
        let rule = documents.template["Resources"][id]["Properties"].clone();
        assert_eq!(rule["EventPattern"], pattern, "{id}");
        rule["Targets"][0].clone()
    };
    let stack = Documents::read().unwrap();
    let target = rule(&stack, "HealthEventRule");
    assert_eq!(
        target["Arn"],
        json!({"Fn::GetAtt": ["HealthProbeFunction", "Arn"]})
    );
    let permission = &stack.template["Resources"]["HealthEventPermission"]["Properties"];
    assert_eq!(
        permission["FunctionName"],
        json!({"Ref": "HealthProbeFunction"})
    );
    let observer = Documents::observer().unwrap();
    let target = rule(&observer, "HealthForwardingRule");
    let bus = json!({"Fn::Sub": "arn:${AWS::Partition}:events:${ControlRegion}:${AWS::AccountId}:event-bus/default"});
    assert_eq!(target["Arn"], bus);
    let role = &observer.template["Resources"]["HealthForwardingRole"]["Properties"];
    assert_eq!(
        role["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"][0],
        bus
    );
}

/// Readiness compares what the account leaves with the number of the functions.
#[test]
fn readiness_knows_how_many_functions_there_are() {
    let stack = Documents::read().unwrap();
    assert_eq!(
        stack.functions().len(),
        usize::try_from(check_readiness::FUNCTIONS.0).unwrap()
    );
}

/// Whoever is paged copies acts out of the runbook and the guide.
#[test]
fn every_act_in_the_documents_is_understood() {
    let mut seen = 0;
    for document in ["docs/runbook.md", "docs/deploy.md", "README.md"] {
        for act in file(document).unwrap().split("{\"act\":").skip(1) {
            let rest = act.split_once('}').unwrap().0;
            let text = format!("{{\"act\":{rest}}}")
                .replace(",..}", ",\"who\":..,\"why\":..}")
                .replace(":..", ":\"..\"")
                .replace("<target>", "secondary")
                .replace("<old site>", "primary");
            let understood = serde_json::from_str::<operate::Act>(&text);
            assert!(understood.is_ok(), "{document}: {text}: {understood:?}");
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} acts were found");
}
