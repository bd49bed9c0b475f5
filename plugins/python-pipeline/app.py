"""A factory in Python: a draft of a bounded length, and a function that keeps it to its word."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log, progress
from wit_world.imports.types import (
    Agent,
    Capability_Model,
    Description,
    Executor_Agent,
    Executor_Function,
    FactoryError_Permission,
    Function,
    Model,
    Node_Sequence,
    Node_Step,
    OnFailure,
    RequestContext,
    Step,
    StepInput,
    StepOptions,
    StepOutput,
    Workflow,
    WorkflowKind,
)

INPUT_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "PythonPipelineConfig",
    "type": "object",
    "properties": {
        "words": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "default": 200,
            "description": "The most words the text may have.",
        },
    },
}


TRIED_TWICE = StepOptions(retries=1, on_failure=OnFailure.FAIL, history=0)


class WorkflowFactory(exports.WorkflowFactory):
    def describe(self) -> Description:
        return Description(
            id="python-pipeline",
            kind=WorkflowKind.FACTORY,
            name="Python Pipeline",
            description="Drafts a text and keeps it to a number of words.",
            input_schema=json.dumps(INPUT_SCHEMA),
            capabilities=[Capability_Model("*")],
        )

    def build(self, context: RequestContext) -> Workflow:
        if "workflows:run" not in context.trusted.scopes:
            raise Err(FactoryError_Permission("Missing 'workflows:run' scope"))
        user_id = context.user_id or "anonymous"
        words = json.loads(context.input or "{}").get("words", 200)

        drafter = Agent(
            name="Drafter",
            model=Model(id="gpt-5.4", provider=None),
            instructions=f"You are a content drafter for {user_id}. Write at most {words} words.",
            temperature=None,
            max_output_tokens=None,
        )
        return workflow(
            "Python Pipeline",
            [
                Step("draft", "Write the first draft", Executor_Agent(drafter), TRIED_TWICE),
                Step("cut", "Keep to the words", Executor_Function(Function("cut", str(words))), None),
            ],
        )


class Functions(exports.Functions):
    def run(self, context: RequestContext, input: StepInput) -> StepOutput:
        if input.function.name != "cut":
            raise Err(f"the factory has no function `{input.function.name}`")
        words = (input.previous or "").split()
        limit = int(input.function.argument)
        if len(words) <= limit:
            return StepOutput(content=input.previous or "", stop=False, session_state=None)
        progress.tell(f"cutting {len(words) - limit} words", json.dumps({"words": len(words)}))
        log.write(log.Level.INFO, f"cut {len(words) - limit} words")
        return StepOutput(content=" ".join(words[:limit]) + " …", stop=False, session_state=None)


def workflow(name: str, steps: list[Step]) -> Workflow:
    """One step after the other: the root is a sequence, and its children stand behind it."""
    root = Node_Sequence(list(range(1, len(steps) + 1)))
    return Workflow(name, None, [root, *map(Node_Step, steps)], 0, None, None)
