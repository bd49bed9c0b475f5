;; A whole plugin around a few lines of core WebAssembly, for what no language lets one write.
;; The mark FIELDS stands for the core module's fields. They may use `$t` (a table of one element), the
;; memory's pages from the second on, and must define `$build`; `$describe` and `$run` are here.
(component
  (import "stepmill:plugin/types@1.0.0" (instance $types
    (type $claim' (record (field "name" string) (field "value" string)))
    (export "claim" (type $claim (eq $claim')))
    (type $header' (record (field "name" string) (field "value" string)))
    (export "header" (type $header (eq $header')))
    (type $trusted' (record
      (field "tenant" string) (field "claims" (list $claim)) (field "scopes" (list string))))
    (export "trusted-context" (type $trusted (eq $trusted')))
    (type $request' (record
      (field "method" string) (field "path" string) (field "headers" (list $header))))
    (export "request" (type $request (eq $request')))
    (type $context' (record
      (field "user-id" (option string)) (field "session-id" (option string))
      (field "input" (option string)) (field "request" $request) (field "trusted" $trusted)))
    (export "request-context" (type $context (eq $context')))
    (type $model' (record (field "id" string) (field "provider" (option string))))
    (export "model" (type $model (eq $model')))
    (type $agent' (record
      (field "name" string) (field "model" $model) (field "instructions" string)
      (field "temperature" (option f32)) (field "max-output-tokens" (option u32))))
    (export "agent" (type $agent (eq $agent')))
    (type $function' (record (field "name" string) (field "argument" (option string))))
    (export "function" (type $function (eq $function')))
    (type $value' (variant
      (case "null") (case "boolean" bool) (case "integer" s64) (case "real" f64)
      (case "text" string) (case "bytes" (list u8))))
    (export "value" (type $value (eq $value')))
    (type $parameter' (variant (case "value" $value) (case "message") (case "previous")))
    (export "parameter" (type $parameter (eq $parameter')))
    (type $access' (enum "read" "write"))
    (export "access" (type $access (eq $access')))
    (type $query' (record
      (field "database" string) (field "statement" string) (field "parameters" (list $parameter))
      (field "access" $access)))
    (export "query" (type $query (eq $query')))
    (type $executor' (variant
      (case "agent" $agent) (case "function" $function) (case "query" $query)))
    (export "executor" (type $executor (eq $executor')))
    (type $on-failure' (enum "fail" "skip"))
    (export "on-failure" (type $on-failure (eq $on-failure')))
    (type $options' (record
      (field "retries" u32) (field "on-failure" $on-failure) (field "history" u32)))
    (export "step-options" (type $options (eq $options')))
    (type $step' (record
      (field "name" string) (field "description" (option string)) (field "executor" $executor)
      (field "options" (option $options))))
    (export "step" (type $step (eq $step')))
    (type $node' (variant (case "step" $step) (case "sequence" (list u32))))
    (export "node" (type $node (eq $node')))
    (type $showing' (record
      (field "agent-events" bool) (field "agent-runs" bool)
      (field "unlisted-events" (list string))))
    (export "showing" (type $showing (eq $showing')))
    (type $workflow' (record
      (field "name" string) (field "description" (option string)) (field "nodes" (list $node))
      (field "root" u32) (field "session-state" (option string))
      (field "showing" (option $showing))))
    (export "workflow" (type $workflow (eq $workflow')))
    (type $error' (variant
      (case "permission" string) (case "validation" string) (case "other" string)))
    (export "factory-error" (type $error (eq $error')))
    (type $capability' (variant
      (case "clock") (case "randomness") (case "config") (case "kv") (case "model" string)
      (case "http" string) (case "database" string) (case "secret" string)))
    (export "capability" (type $capability (eq $capability')))
    (type $kind' (enum "factory" "prototype"))
    (export "workflow-kind" (type $kind (eq $kind')))
    (type $description' (record
      (field "id" string) (field "kind" $kind) (field "name" (option string)) (field "description" (option string))
      (field "input-schema" (option string)) (field "capabilities" (list $capability))))
    (export "description" (type $description (eq $description')))
    (type $content' (record (field "step" string) (field "content" string)))
    (export "step-content" (type $content (eq $content')))
    (type $media-kind' (enum "image" "audio" "video" "file"))
    (export "media-kind" (type $media-kind (eq $media-kind')))
    (type $media' (record
      (field "kind" $media-kind) (field "content" (option (list u8))) (field "url" (option string))
      (field "mime-type" (option string)) (field "filename" (option string))))
    (export "media" (type $media (eq $media')))
    (type $run' (record
      (field "run-id" string) (field "session-id" string) (field "user-id" (option string))
      (field "session-state" string) (field "dependencies" (option string))
      (field "metadata" string) (field "additional-data" (option string))
      (field "media" (list $media))))
    (export "run-context" (type $run-context (eq $run')))
    (type $past-run' (record (field "message" string) (field "content" string)))
    (export "past-run" (type $past-run (eq $past-run')))
    (type $input' (record
      (field "function" $function) (field "step" string) (field "message" string)
      (field "previous" (option string)) (field "outputs" (list $content))
      (field "run" $run-context) (field "history" (list $past-run))))
    (export "step-input" (type $input (eq $input')))
    (type $output' (record
      (field "content" string) (field "stop" bool) (field "session-state" (option string))))
    (export "step-output" (type $output (eq $output')))))
  (alias export $types "request-context" (type $context))
  (alias export $types "workflow" (type $workflow))
  (alias export $types "factory-error" (type $error))
  (alias export $types "description" (type $description))
  (alias export $types "step-input" (type $input))
  (alias export $types "step-output" (type $output))

  (core module $m
    (memory (export "memory") 64)
    (table $t 1 funcref)
    (global $next (mut i32) (i32.const 65536))
    ;; `describe` answers with the id `core` and nothing else.
    (data (i32.const 0) "\40\00\00\00\04\00\00\00")
    (data (i32.const 64) "core")
    (func $describe (export "describe") (result i32) (i32.const 0))
    (func $run (export "run") (param i32) (result i32) (unreachable))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (; FIELDS ;)
    (export "build" (func $build)))
  (core instance $i (instantiate $m))

  (func $describe (result $description)
    (canon lift (core func $i "describe") (memory (core memory $i "memory"))))
  (func $build (param "context" $context) (result (result $workflow (error $error)))
    (canon lift (core func $i "build") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc"))))
  (func $run (param "context" $context) (param "input" $input)
    (result (result $output (error string)))
    (canon lift (core func $i "run") (memory (core memory $i "memory"))
      (realloc (core func $i "realloc"))))

  (instance $factory (export "describe" (func $describe)) (export "build" (func $build)))
  (export "stepmill:plugin/workflow-factory@1.0.0" (instance $factory))
  (instance $functions (export "run" (func $run)))
  (export "stepmill:plugin/functions@1.0.0" (instance $functions)))
