use detection::{Scenario, play};

macro_rules! played {
    ($($name:ident $scenario:ident,)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let row = play(Scenario::$scenario).await.unwrap();
                assert!(row.broken().is_empty(), "{:?}: {row:?}", row.broken());
            }
        )+

        #[test]
        fn every_scenario_is_a_test() {
            assert_eq!(Scenario::ALL, [$(Scenario::$scenario,)+]);
        }
    };
}

played! {
    quiet Quiet,
    region_dark RegionDark,
    control_plane_503 ControlPlane503,
    brown_out BrownOut,
    flapping Flapping,
    credentials_revoked CredentialsRevoked,
    throttled Throttled,
    object_store_only ObjectStoreOnly,
    compute_only ComputeOnly,
    bad_deployment BadDeployment,
    kpi_out_of_bounds KpiOutOfBounds,
    warehouse_stopped WarehouseStopped,
    prober_cut_off ProberCutOff,
    one_vantage_cut_off OneVantageCutOff,
    one_vantage_sees_it_down OneVantageSeesItDown,
    name_lost NameLost,
    both_sites_down BothSitesDown,
    half_dead HalfDead,
    page_cries_wolf PageCriesWolf,
    page_is_green PageIsGreen,
    aws_health_issue AwsHealthIssue,
}
