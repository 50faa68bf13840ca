//! Every shipped scenario is read; the files are the manual and must stay right.

use std::fs;
use std::path::Path;

use loadgen::scenario::Scenario;

#[test]
fn shipped_scenarios_are_right() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let scenario = Scenario::parse(&fs::read_to_string(&path).unwrap());
        let scenario = scenario.unwrap_or_else(|error| panic!("{}:\n{error}", path.display()));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(scenario.name.as_str()));
        assert!(!scenario.thresholds.is_empty());
        names.push(scenario.name);
    }
    names.sort();
    assert_eq!(names, ["baseline", "demo", "failover", "receipts"]);
}
