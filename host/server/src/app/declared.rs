//! Workflows declared in files: the same graph as a factory draws, without code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use stepmill_core::agent::{Agent, ModelName};
use stepmill_core::capability::Access;
use stepmill_core::database::Value;
use stepmill_core::graph::{
    Executor, GraphDraft, GraphFault, GraphLimits, NodeDraft, OnFailure, Parameter, Query, Showing,
    Step, StepGraph, StepOptions,
};
use stepmill_core::ids::{IdFault, WorkflowId};

/// The largest file. A thousand steps with long instructions fit.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A workflow without code.
#[derive(Debug)]
pub struct Declared {
    /// What it is called in the API.
    pub id: WorkflowId,
    /// The name of its file. Listings keep the order of these.
    pub file: String,
    /// What it does.
    pub graph: Arc<StepGraph>,
}

impl Declared {
    /// A workflow whose file is part of the binary; `None` if it declares none.
    pub fn built_in(stem: &str, text: &str) -> Option<Self> {
        declare(toml::from_str(text).ok()?, stem, stem, &GraphLimits::default()).ok()
    }
}

/// A file that declares no workflow.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct DeclaredFault {
    file: PathBuf,
    fault: FileFault,
}

#[derive(Debug, thiserror::Error)]
enum FileFault {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("is larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("the id {0}")]
    Id(#[from] IdFault),
    #[error("an earlier file declares the id `{0}` too")]
    SameId(WorkflowId),
    #[error("the step `{0}` needs `agent` or `query`, and not both")]
    Executor(String),
    #[error("{}", texts(.0))]
    Graph(Vec<GraphFault>),
}

fn texts(faults: &[GraphFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkflowFile {
    id: Option<String>,
    name: String,
    description: Option<String>,
    /// Of how many earlier runs those steps are told that do not say it themselves.
    #[serde(default)]
    history: u32,
    #[serde(default)]
    showing: ShowingFile,
    steps: Vec<StepFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ShowingFile {
    agent_events: bool,
    agent_runs: bool,
    unlisted_events: Vec<String>,
}

impl Default for ShowingFile {
    fn default() -> Self {
        let Showing { agent_events, agent_runs, unlisted_events } = Showing::default();
        Self { agent_events, agent_runs, unlisted_events }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepFile {
    name: String,
    description: Option<String>,
    agent: Option<AgentFile>,
    query: Option<QueryFile>,
    #[serde(default)]
    retries: u32,
    #[serde(default)]
    may_fail: bool,
    history: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentFile {
    name: String,
    model: String,
    provider: Option<String>,
    instructions: String,
    temperature: Option<f32>,
    max_output_tokens: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryFile {
    database: String,
    statement: String,
    #[serde(default)]
    parameters: Vec<ParameterFile>,
    #[serde(default)]
    write: bool,
}

/// `7`, `"text"`, or `{ from = "message" }`.
#[derive(Deserialize)]
#[serde(untagged)]
enum ParameterFile {
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    From { from: Origin },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Origin {
    Message,
    Previous,
}

/// Reads every `*.toml` and `*.json` of a folder. A folder that is not there declares nothing.
///
/// # Errors
/// The first file, by name, that declares no workflow. A host with a half-read folder would
/// answer 404 where the operator expects a workflow.
pub(crate) fn read_folder(
    folder: &Path,
    limits: &GraphLimits,
) -> Result<BTreeMap<WorkflowId, Arc<Declared>>, DeclaredFault> {
    let mut found = BTreeMap::new();
    let files = match list(folder) {
        Ok(files) => files,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(fault) => return Err(DeclaredFault { file: folder.to_owned(), fault: fault.into() }),
    };
    for file in files {
        let declared = read_file(&file, limits).and_then(|it| match found.contains_key(&it.id) {
            true => Err(FileFault::SameId(it.id)),
            false => Ok(it),
        });
        let declared = declared.map_err(|fault| DeclaredFault { file, fault })?;
        found.insert(declared.id.clone(), Arc::new(declared));
    }
    Ok(found)
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if matches!(path.extension().and_then(|it| it.to_str()), Some("toml" | "json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path, limits: &GraphLimits) -> Result<Declared, FileFault> {
    if MAX_FILE_BYTES < fs::metadata(path)?.len() {
        return Err(FileFault::TooLarge);
    }
    let text = fs::read_to_string(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match path.extension().and_then(|it| it.to_str()) {
        Some("json") => declare(serde_json::from_str(&text)?, &name, &stem, limits),
        _ => declare(toml::from_str(&text)?, &name, &stem, limits),
    }
}

fn declare(
    file: WorkflowFile,
    name: &str,
    stem: &str,
    limits: &GraphLimits,
) -> Result<Declared, FileFault> {
    let id = WorkflowId::new(file.id.as_deref().unwrap_or(stem))?;
    let steps = file.steps.into_iter().map(|it| step(it, file.history).map(NodeDraft::Step));
    let mut nodes: Vec<_> = steps.collect::<Result<_, _>>()?;
    let root = nodes.len() as u32;
    nodes.push(NodeDraft::Sequence((0..root).collect()));
    let mut draft = GraphDraft::new(file.name, nodes, root);
    draft.description = file.description;
    let ShowingFile { agent_events, agent_runs, unlisted_events } = file.showing;
    draft.showing = Showing { agent_events, agent_runs, unlisted_events };
    let graph = draft.check(limits).map_err(FileFault::Graph)?;
    Ok(Declared { id, file: name.to_owned(), graph: Arc::new(graph) })
}

fn step(file: StepFile, history: u32) -> Result<Step, FileFault> {
    let executor = match (file.agent, file.query) {
        (Some(agent), None) => Executor::Agent(Agent {
            name: agent.name,
            model: ModelName { id: agent.model, provider: agent.provider },
            instructions: agent.instructions,
            temperature: agent.temperature,
            max_output_tokens: agent.max_output_tokens,
        }),
        (None, Some(query)) => Executor::Query(Query {
            database: query.database,
            statement: query.statement,
            parameters: query.parameters.into_iter().map(Parameter::from).collect(),
            access: if query.write { Access::Write } else { Access::Read },
        }),
        _ => return Err(FileFault::Executor(file.name)),
    };
    let options = StepOptions {
        retries: file.retries,
        on_failure: if file.may_fail { OnFailure::Skip } else { OnFailure::Fail },
        history: file.history.unwrap_or(history),
    };
    Ok(Step { name: file.name, description: file.description, executor, options })
}

impl From<ParameterFile> for Parameter {
    fn from(file: ParameterFile) -> Self {
        Self::Value(match file {
            ParameterFile::From { from: Origin::Message } => return Self::Message,
            ParameterFile::From { from: Origin::Previous } => return Self::Previous,
            ParameterFile::Boolean(it) => Value::Boolean(it),
            ParameterFile::Integer(it) => Value::Integer(it),
            ParameterFile::Real(it) => Value::Real(it),
            ParameterFile::Text(it) => Value::Text(it),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        name = "Prototype"
        [[steps]]
        name = "first"
        agent = { name = "First", model = "gpt-4.1-mini", instructions = "Be first." }
    "#;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn fault(files: &[(&str, &str)]) -> String {
        let folder = folder(files);
        let fault = read_folder(folder.path(), &GraphLimits::default()).unwrap_err();
        fault.to_string().replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn a_file_is_a_workflow_under_its_own_name() {
        let folder = folder(&[("prototype.toml", GOOD), ("notes.md", "no workflow")]);
        let found = read_folder(folder.path(), &GraphLimits::default()).unwrap();
        let declared = &found[&WorkflowId::new("prototype").unwrap()];
        assert_eq!(declared.graph.name(), "Prototype");
        assert_eq!(declared.graph.steps().len(), 1);
    }

    #[test]
    fn json_says_the_same() {
        let json = r#"{"id": "p", "name": "P", "steps": [{"name": "a", "agent":
            {"name": "A", "model": "m", "provider": "demo", "instructions": "i"}}]}"#;
        let folder = folder(&[("x.json", json)]);
        let found = read_folder(folder.path(), &GraphLimits::default()).unwrap();
        assert!(found.contains_key(&WorkflowId::new("p").unwrap()));
    }

    #[test]
    fn a_step_may_be_a_query() {
        let text = r#"
            name = "Orders"
            [[steps]]
            name = "find"
            [steps.query]
            database = "orders"
            statement = "select title from orders where customer = $1 and n = $2"
            parameters = [{ from = "message" }, 7]
        "#;
        let folder = folder(&[("orders.toml", text)]);
        let found = read_folder(folder.path(), &GraphLimits::default()).unwrap();
        let steps = found[&WorkflowId::new("orders").unwrap()].graph.steps();
        let Executor::Query(query) = &steps[0].executor else { panic!("it is a query") };
        let seven = Parameter::Value(Value::Integer(7));
        assert_eq!(query.parameters, [Parameter::Message, seven]);
        assert_eq!(query.access, Access::Read);
    }

    #[test]
    fn a_file_says_what_holds_for_its_steps() {
        let text = r#"
            name = "Talk"
            history = 3
            showing = { agent_runs = false }
            [[steps]]
            name = "a"
            retries = 2
            may_fail = true
            agent = { name = "A", model = "m", instructions = "i" }
            [[steps]]
            name = "b"
            history = 0
            agent = { name = "B", model = "m", instructions = "i" }
        "#;
        let folder = folder(&[("talk.toml", text)]);
        let found = read_folder(folder.path(), &GraphLimits::default()).unwrap();
        let graph = &found[&WorkflowId::new("talk").unwrap()].graph;
        let options: Vec<_> = graph.steps().iter().map(|it| it.options).collect();
        let first = StepOptions { retries: 2, on_failure: OnFailure::Skip, history: 3 };
        assert_eq!(options, [first, StepOptions::default()]);
        assert_eq!(*graph.showing(), Showing { agent_runs: false, ..Showing::default() });
    }

    #[test]
    fn a_folder_that_is_not_there_declares_nothing() {
        let found = read_folder(Path::new("no/such/folder"), &GraphLimits::default());
        assert!(found.unwrap().is_empty());
    }

    #[test]
    fn every_fault_names_its_file() {
        assert!(fault(&[("a.toml", "nonsense")]).starts_with("a.toml: "));
        assert_eq!(fault(&[("A b.toml", GOOD)]), "A b.toml: the id must not contain 'A'");
        let twice = GOOD.replace("name = \"Prototype\"", "name = \"P\"\nid = \"a\"");
        assert_eq!(
            fault(&[("a.toml", GOOD), ("b.toml", &twice)]),
            "b.toml: an earlier file declares the id `a` too"
        );
        let empty = GOOD.replace("\"first\"", "\"\"");
        assert_eq!(fault(&[("a.toml", &empty)]), "a.toml: node 0 step name: must not be empty");
        let neither = "name = \"P\"\n[[steps]]\nname = \"first\"";
        assert_eq!(
            fault(&[("a.toml", neither)]),
            "a.toml: the step `first` needs `agent` or `query`, and not both"
        );
        assert!(
            fault(&[("a.toml", &format!("{GOOD}\nfunction = 1"))])
                .contains("unknown field `function`")
        );
    }
}
