//! Scripts in Rhai, without access to anything outside, and with limits.
//!
//! A script defines functions. `process(host, name, value, time)` gets every sample, and returns the
//! four values, or nothing to drop the sample. Converters name the values of CollectD's plugins: they
//! get a map, and return the parts of the name.

use super::budget;
use super::file::{Problem, place};
use super::rule::{Dropped, valid};
use super::sample::{Collectd, Series};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LanguageCorePackage, LogicPackage, MoreStringPackage,
    Package,
};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, FuncArgs, Map, Position, Scope};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Maximum depth of calls of functions by functions, which use the stack of the intake's thread.
const MAX_CALLS: usize = 8;

/// Maximum depth of expressions, outside and inside of functions.
const MAX_DEPTH: usize = 32;

/// Maximum size of a text, in bytes.
const MAX_TEXT_BYTES: usize = 4_096;

/// Maximum number of elements of a list or a map, with what they contain.
const MAX_ELEMENTS: usize = 1_000;

/// Maximum number of variables, and of functions.
const MAX_NAMES: usize = 200;

/// Times from this one on, in Unix seconds, cannot be published: the year 10,000.
const TIMES_END: f64 = 253_402_300_800.0;

/// Maximum number of short texts that the engine keeps for reuse.
const MAX_INTERNED: usize = 256;

/// The function that gets every sample.
const PROCESS: &str = "process";

/// A compiled script.
pub(super) struct Script {
    engine: Engine,
    ast: AST,
    /// The functions that name the values of CollectD's plugins, by plugin.
    converters: BTreeMap<String, String>,
    processes: bool,
}

impl Script {
    /// Compiles a script, and finds its functions. Returns an error of the script and its place.
    pub(super) fn compile(
        text: &str,
        converters: BTreeMap<String, String>,
    ) -> Result<Self, Problem> {
        let engine = engine();
        // Within a comment, Rhai takes a carriage return for the end of a line; elsewhere it does not.
        let text = &text.replace("\r\n", "\n").replace('\r', "\n");
        let ast = engine.compile(text).map_err(|error| {
            let (line, column) = line_and_column(text, error.position());
            let text = text.lines().nth(line - 1).unwrap_or_default();
            let why = match text.trim_start().split_once("def ") {
                Some(("", function)) => {
                    let function = function.trim_end().trim_end_matches(':');
                    format!("this is Python; write fn {function} {{ … }}")
                }
                Some(_) | None => error.err_type().to_string(),
            };
            Problem { line, column, why }
        })?;
        let start = |why: String| Problem { line: 1, column: 1, why };
        let parameters = |name: &str| {
            let mut all = ast.iter_functions().filter(|function| function.name == name);
            all.next().map(|function| function.params.len())
        };
        for (plugin, function) in &converters {
            match parameters(function) {
                Some(1) => {}
                Some(other) => {
                    let why = format!(
                        "the function {function} has {other} parameters; the converter of \
                         {plugin} needs one, the sample"
                    );
                    return Err(start(why));
                }
                None => {
                    let why = format!(
                        "there is no function {function}, the converter of {plugin}; write \
                         fn {function}(sample) {{ … }}"
                    );
                    return Err(start(why));
                }
            }
        }
        let processes = match parameters(PROCESS) {
            Some(4) => true,
            Some(other) => {
                let why = format!(
                    "the function {PROCESS} has {other} parameters; it needs four: \
                     fn {PROCESS}(host, name, value, time)"
                );
                return Err(start(why));
            }
            None => false,
        };
        if !processes && converters.is_empty() {
            let why = format!(
                "nothing calls this script; write fn {PROCESS}(host, name, value, time), or list \
                 its functions in [converters] of the rules file"
            );
            return Err(start(why));
        }
        Ok(Self { engine, ast, converters, processes })
    }

    /// Whether the script has a function `process`.
    pub(super) const fn processes(&self) -> bool {
        self.processes
    }

    /// The converter for a plugin.
    pub(super) fn converter(&self, plugin: &str) -> Option<&str> {
        self.converters.get(plugin).map(String::as_str)
    }

    /// Calls a converter, and returns the name of the sample.
    pub(super) fn convert(
        &self,
        function: &str,
        series: &Series<'_>,
        value: f64,
        time: f64,
        now: f64,
    ) -> Result<String, Dropped> {
        let sample = sample(series, value, time);
        let result = self.call(function, (sample,), now)?;
        if result.is_unit() {
            return Err(Dropped::Script);
        }
        let parts = result.into_typed_array::<String>().map_err(|_| {
            failed(function, "it must return a list of texts, or nothing to drop the sample")
        })?;
        let name = parts.join(".");
        if name.trim().is_empty() { Err(Dropped::Script) } else { valid("name", name) }
    }

    /// Calls `process`, and returns host, name, value and time.
    pub(super) fn process(
        &self,
        [host, name]: [&str; 2],
        value: f64,
        time: f64,
        now: f64,
    ) -> Result<(String, String, f64, f64), Dropped> {
        let given = if host.is_empty() { Dynamic::UNIT } else { Dynamic::from(host.to_owned()) };
        let result = self.call(PROCESS, (given, name.to_owned(), value, time), now)?;
        if result.is_unit() {
            return Err(Dropped::Script);
        }
        let type_name = result.type_name();
        let four: [Dynamic; 4] = result
            .into_array()
            .map_err(|_| wrong(&format!("it returned a value of type {type_name}")))?
            .try_into()
            .map_err(|all: Vec<_>| wrong(&format!("its list has {} elements", all.len())))?;
        let [host, name, value, time] = four;
        let host = if host.is_unit() { String::new() } else { text("host", host)? };
        let name = text("name", name)?;
        let value = finite("value", &value)?;
        let time = finite("time", &time)?;
        if !(0.0..TIMES_END).contains(&time) {
            let why = format!("the time {time} is not between 1970 and the year 9999");
            return Err(failed(PROCESS, &why));
        }
        Ok((host, name, value, time))
    }

    fn call(&self, function: &str, args: impl FuncArgs, now: f64) -> Result<Dynamic, Dropped> {
        budget::begin(now);
        let options = CallFnOptions::new().eval_ast(false);
        let mut scope = Scope::new();
        // A panic of the engine must not end the intake. The engine keeps nothing of a call.
        let called = catch_unwind(AssertUnwindSafe(|| {
            self.engine.call_fn_with_options(options, &mut scope, &self.ast, function, args)
        }));
        match (budget::end(), called) {
            (Some(spent), Ok(Ok(_))) => Err(failed(function, &spent.to_string())),
            (None, Ok(Ok(result))) => Ok(result),
            (_, Ok(Err(error))) => Err(failed(function, &cause(&error))),
            (_, Err(_)) => Err(failed(function, "the script engine panicked")),
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("converters", &self.converters).finish_non_exhaustive()
    }
}

/// An engine that can neither read files nor wait, with its limits.
fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    LanguageCorePackage::new().register_into_engine(&mut engine);
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicFnPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    engine
        .set_max_call_levels(MAX_CALLS)
        .set_max_expr_depths(MAX_DEPTH, MAX_DEPTH)
        .set_max_string_size(MAX_TEXT_BYTES)
        .set_max_array_size(MAX_ELEMENTS)
        .set_max_map_size(MAX_ELEMENTS)
        .set_max_variables(MAX_NAMES)
        .set_max_functions(MAX_NAMES)
        .set_max_strings_interned(MAX_INTERNED)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .disable_symbol("eval")
        // Each call can double the size of a function, which is not limited.
        .disable_symbol("curry")
        .on_print(|text| tracing::debug!(event = "script_printed", text))
        .on_debug(|text, _, _| tracing::debug!(event = "script_printed", text))
        .on_progress(|_| budget::count().map(|spent| spent.to_string().into()))
        .register_fn("now", budget::now);
    // The core package has functions of these names that block the thread.
    engine.register_fn("sleep", |_: i64| no_sleep()).register_fn("sleep", |_: f64| no_sleep());
    engine
}

fn no_sleep() -> Result<(), Box<EvalAltResult>> {
    Err("sleep is not available".into())
}

/// What went wrong, and where.
fn cause(error: &EvalAltResult) -> String {
    let cause = error.unwrap_inner();
    let position = cause.position();
    let what = match cause {
        EvalAltResult::ErrorTerminated(why, _) => why.to_string(),
        other => other.to_string(),
    };
    // Most texts end with the place, in the engine's words.
    let what = what.split(" (line ").next().unwrap_or_default();
    match (position.line(), position.position()) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: {what}"),
        (Some(line), None) => format!("line {line}: {what}"),
        (None, _) => what.to_owned(),
    }
}

fn failed(function: &str, why: &str) -> Dropped {
    Dropped::Failed(format!("{function}: {why}"))
}

/// What is wrong with the result of `process`.
fn wrong(what: &str) -> Dropped {
    let why = format!("{what}; it must return [host, name, value, time], or nothing to drop it");
    failed(PROCESS, &why)
}

/// An element of the result that must be a text.
fn text(element: &str, value: Dynamic) -> Result<String, Dropped> {
    if value.is_unit() {
        return Err(wrong(&format!(
            "{element} is (), which functions return that change a text in place, such as \
             `replace`: call {element}.replace(…) in a line before"
        )));
    }
    value
        .into_string()
        .map_err(|found| wrong(&format!("{element} is of type {found}, and not a text")))
}

/// An element of the result that must be a number.
fn finite(element: &str, value: &Dynamic) -> Result<f64, Dropped> {
    let found = value.type_name();
    number(value)
        .ok_or_else(|| wrong(&format!("{element} is of type {found}, and not a finite number")))
}

fn number(value: &Dynamic) -> Option<f64> {
    let number = value.as_float().or_else(|_| value.as_int().map(|value| value as f64));
    number.ok().filter(|number| number.is_finite())
}

/// The map that a converter gets.
fn sample(series: &Series<'_>, value: f64, time: f64) -> Map {
    let Collectd {
        plugin,
        plugin_instance,
        type_name,
        type_instance,
        value_name,
        value_type,
        interval,
    } = series.collectd.unwrap_or_default();
    let mut map = Map::new();
    for (key, text) in [
        ("host", series.host),
        ("name", series.name),
        ("plugin", plugin),
        ("plugin_instance", plugin_instance),
        ("type", type_name),
        ("type_instance", type_instance),
        ("value_name", value_name),
    ] {
        map.insert(key.into(), text.to_owned().into());
    }
    map.insert("interval".into(), interval.into());
    map.insert("time".into(), time.into());
    map.insert("value".into(), value.into());
    map.insert("value_type".into(), i64::from(value_type).into());
    map
}

/// The engine counts lines and columns from 1 on. An error at the end of the text has no place.
fn line_and_column(text: &str, position: Position) -> (usize, usize) {
    let end = place(text, text.len());
    (position.line().unwrap_or(end.0), position.position().unwrap_or(1))
}
