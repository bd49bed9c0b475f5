//! Reads a component, without compiling it, for what would cost too much to compile or to run.

use wasmparser::{ComponentInstance, Encoding, FunctionBody, Instance, Parser, Payload};

use crate::load::LoadFailure;
use crate::settings::LoadLimits;

/// Checks sizes and counts. Whether the component is valid is found out by the engine.
pub(crate) fn scan(component: &[u8], limits: &LoadLimits) -> Result<(), LoadFailure> {
    if limits.component_bytes < component.len() {
        return Err(LoadFailure::TooLarge {
            found: component.len(),
            limit: limits.component_bytes,
        });
    }
    if !Parser::is_component(component) {
        return Err(LoadFailure::NotAComponent);
    }
    let mut scan = Scan { limits, counts: Counts::default(), open: vec![], heaviest: 1 };
    for payload in Parser::new(0).parse_all(component) {
        scan.payload(payload.map_err(invalid)?)?;
    }
    Ok(())
}

fn invalid(error: wasmparser::BinaryReaderError) -> LoadFailure {
    LoadFailure::Invalid(error.into())
}

struct Scan<'a> {
    limits: &'a LoadLimits,
    counts: Counts,
    /// The components and modules we are inside of, each with its instances so far.
    open: Vec<u64>,
    /// The most instances that one instance of a component read so far consists of. A component
    /// can only instantiate what stands before it, so this bounds every instantiation.
    heaviest: u64,
}

#[derive(Default)]
struct Counts {
    functions: u64,
    code_bytes: u64,
    body_times_locals: u64,
    nested_components: u64,
    core_modules: u64,
}

impl Scan<'_> {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), LoadFailure> {
        match payload {
            Payload::Version { encoding, .. } => self.enter(encoding),
            Payload::End(_) => {
                self.leave();
                Ok(())
            }
            Payload::CodeSectionStart { count, size, .. } => {
                self.counts.functions += u64::from(count);
                self.counts.code_bytes += u64::from(size);
                at_most("functions", self.counts.functions, self.limits.functions as u64)?;
                at_most("bytes of code", self.counts.code_bytes, self.limits.code_bytes as u64)
            }
            Payload::CodeSectionEntry(body) => self.body(&body),
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { .. } = instance.map_err(invalid)? {
                        self.instances(1)?;
                    }
                }
                Ok(())
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate { .. } = instance.map_err(invalid)? {
                        self.instances(self.heaviest)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn enter(&mut self, encoding: Encoding) -> Result<(), LoadFailure> {
        let (counts, limits) = (&mut self.counts, self.limits);
        let outermost = self.open.is_empty();
        self.open.push(0);
        match encoding {
            Encoding::Module => {
                counts.core_modules += 1;
                at_most("core modules", counts.core_modules, limits.core_modules as u64)
            }
            Encoding::Component if outermost => Ok(()),
            Encoding::Component => {
                counts.nested_components += 1;
                at_most(
                    "nested components",
                    counts.nested_components,
                    limits.nested_components as u64,
                )
            }
        }
    }

    fn leave(&mut self) {
        let instances = self.open.pop().unwrap_or_default();
        self.heaviest = self.heaviest.max(instances);
    }

    fn instances(&mut self, more: u64) -> Result<(), LoadFailure> {
        let Some(instances) = self.open.last_mut() else { return Ok(()) };
        *instances = instances.saturating_add(more);
        at_most("instances", *instances, self.limits.instances)
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), LoadFailure> {
        let bytes = body.range().len() as u64;
        at_most("bytes in one function", bytes, self.limits.function_body_bytes as u64)?;
        let mut locals = 0u64;
        for local in body.get_locals_reader().map_err(invalid)? {
            let (count, _) = local.map_err(invalid)?;
            locals = locals.saturating_add(u64::from(count));
        }
        at_most("local variables in one function", locals, self.limits.locals as u64)?;
        let product = bytes.saturating_mul(locals);
        at_most("bytes × local variables in one function", product, self.limits.body_times_locals)?;
        let total = &mut self.counts.body_times_locals;
        *total = total.saturating_add(product);
        at_most("bytes × local variables in all", *total, self.limits.total_body_times_locals)
    }
}

pub(crate) fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), LoadFailure> {
    if limit < found {
        return Err(LoadFailure::TooComplex { what, found, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str, limits: &LoadLimits) -> String {
        let bytes = wat::parse_str(text).unwrap();
        scan(&bytes, limits).expect_err("the component is refused").to_string()
    }

    fn fault(text: &str) -> String {
        faults(text, &LoadLimits::default())
    }

    #[test]
    fn what_is_no_component_is_told_apart() {
        let limits = LoadLimits::default();
        for bytes in [&b""[..], b"\0as", b"garbage", &wat::parse_str("(module)").unwrap()] {
            assert!(matches!(scan(bytes, &limits), Err(LoadFailure::NotAComponent)));
        }
        assert!(scan(&wat::parse_str("(component)").unwrap(), &limits).is_ok());
    }

    #[test]
    fn a_truncated_component_is_invalid() {
        let bytes = wat::parse_str("(component (core module (func)))").unwrap();
        let answer = scan(&bytes[..bytes.len() - 3], &LoadLimits::default());
        assert!(matches!(answer, Err(LoadFailure::Invalid(_))));
    }

    #[test]
    fn a_component_over_its_size_is_not_read() {
        let limits = LoadLimits { component_bytes: 8, ..LoadLimits::default() };
        assert!(matches!(
            scan(b"123456789", &limits),
            Err(LoadFailure::TooLarge { found: 9, limit: 8 })
        ));
    }

    /// 1,576 bytes that compile to more than four gigabytes.
    #[test]
    fn a_component_that_doubles_itself_24_times_is_refused() {
        let mut text =
            "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
        for level in 1..=24 {
            let below = level - 1;
            text = format!(
                "(component $c{level} {text} (instance (instantiate $c{below})) \
                 (instance (instantiate $c{below})))"
            );
        }
        assert_eq!(fault(&text), "the component has 17 nested components; at most 16 are allowed");
    }

    #[test]
    fn doubling_is_also_refused_within_the_nesting_limit() {
        let mut text =
            "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
        for level in 1..=9 {
            let below = level - 1;
            text = format!(
                "(component $c{level} {text} (instance (instantiate $c{below})) \
                 (instance (instantiate $c{below})))"
            );
        }
        assert_eq!(fault(&text), "the component has 256 instances; at most 200 are allowed");
    }

    #[test]
    fn many_locals_are_refused() {
        let locals = "(local i32)".repeat(2_001);
        assert_eq!(
            fault(&format!("(component (core module (func {locals})))")),
            "the component has 2001 local variables in one function; at most 2000 are allowed"
        );
    }

    /// The shape of 200 KB that took nine seconds and 2.4 GB to compile.
    #[test]
    fn long_functions_with_many_locals_are_refused() {
        let locals = "(local i32)".repeat(1_000);
        let blocks = "(block (br_if 0 (local.get 0)))".repeat(20_000);
        assert_eq!(
            fault(&format!("(component (core module (func {locals} {blocks})))")),
            "the component has 140005000 bytes × local variables in one function; at most \
             100000000 are allowed"
        );
    }

    #[test]
    fn the_sum_over_functions_counts_too() {
        let limits = LoadLimits { total_body_times_locals: 20, ..LoadLimits::default() };
        let function = "(func (local i32 i32 i32))";
        assert!(
            faults(&format!("(component (core module {function} {function}))"), &limits)
                .starts_with("the component has 24 bytes × local variables in all")
        );
    }

    #[test]
    fn one_huge_function_is_refused() {
        let nops = "nop ".repeat(1024 * 1024);
        assert_eq!(
            fault(&format!("(component (core module (func {nops})))")),
            "the component has 1048578 bytes in one function; at most 1048576 are allowed"
        );
    }

    #[test]
    fn many_functions_are_refused() {
        let functions = "(func)".repeat(50_001);
        assert_eq!(
            fault(&format!("(component (core module {functions}))")),
            "the component has 50001 functions; at most 50000 are allowed"
        );
    }

    #[test]
    fn many_modules_are_refused() {
        assert_eq!(
            fault(&format!("(component {})", "(core module)".repeat(101))),
            "the component has 101 core modules; at most 100 are allowed"
        );
    }
}
