//! `count!`, `gauge!`, `histogram!` and `time!`: their arguments by position, then those by name.

use proc_macro2::{Span, TokenStream};
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr};

use crate::args::{Args, Known};
use crate::expand;
use crate::hint::refused;
use crate::known;
use crate::parse;
use crate::place::{Kind, Place};
use crate::root;
use crate::text::{self, Text, What};

/// The third argument of a macro.
struct Third {
    word: &'static str,
    needs: &'static str,
    usage: &'static str,
    required: bool,
    /// The arguments that may follow it.
    known: &'static [Known],
    /// Parses it, or returns the error.
    read: fn(Expr) -> syn::Result<Expr>,
}

const COUNT: Third = Third {
    word: "count!",
    needs: "a level and a name",
    usage: r#"`count!("info", "logins")` or `count!("info", "logins", 3)`"#,
    required: false,
    known: known::CALL,
    read: |expr| text::number("value", expr),
};
const GAUGE: Third = Third {
    word: "gauge!",
    needs: "a level, a name and a value",
    usage: r#"`gauge!("info", "queue.depth", depth)`"#,
    required: true,
    known: known::GAUGE,
    read: |expr| text::number("value", expr),
};
const HISTOGRAM: Third = Third {
    word: "histogram!",
    needs: "a level, a name and a value",
    usage: r#"`histogram!("info", "response.size", bytes, unit = "bytes")`"#,
    required: true,
    known: known::HISTOGRAM,
    read: |expr| text::number("value", expr),
};
const TIME: Third = Third {
    word: "time!",
    needs: "a level and a name",
    usage: r#"`time!("info", "db.query")` or `time!("info", "db.query", expression)`"#,
    required: false,
    known: known::CALL,
    read: |expr| match text::bare(expr) {
        Expr::Closure(closure) if closure.inputs.is_empty() => {
            let message = "this times how long it takes to make the closure, and not what it does; \
                           write an expression, such as its body in braces";
            Err(Error::new_spanned(closure, message))
        }
        expr => Ok(expr),
    },
};

pub(crate) fn count(input: TokenStream) -> TokenStream {
    match read(&COUNT, input) {
        Ok(call) => expand::record(&call.place(Kind::Counter), call.third.as_ref()),
        Err(refused) => refused,
    }
}

pub(crate) fn gauge(input: TokenStream) -> TokenStream {
    match read(&GAUGE, input) {
        Ok(call) => {
            let kind = if call.args.each { Kind::Each } else { Kind::Gauge };
            expand::record(&call.place(kind), call.third.as_ref())
        }
        Err(refused) => refused,
    }
}

pub(crate) fn histogram(input: TokenStream) -> TokenStream {
    match read(&HISTOGRAM, input) {
        Ok(call) => expand::record(&call.place(Kind::Histogram), call.third.as_ref()),
        Err(refused) => refused,
    }
}

pub(crate) fn time(input: TokenStream) -> TokenStream {
    match read(&TIME, input) {
        Ok(call) => {
            let place = call.place(Kind::Timer);
            match &call.third {
                Some(expression) => expand::time_expression(&place, expression),
                None => expand::time(&place),
            }
        }
        Err(refused) => refused,
    }
}

struct Call {
    level: Text,
    name: Text,
    third: Option<Expr>,
    args: Args,
}

impl Call {
    fn place(&self, kind: Kind) -> Place<'_> {
        Place {
            kind,
            level: Some(&self.level),
            name: Some(&self.name),
            source: self.args.source.as_ref(),
            unit: self.args.unit.as_ref(),
            ending: "",
            tag: None,
            tags: &self.args.tags,
            max_series: self.args.max_series.as_ref(),
            function: "",
            krate: self.args.krate.as_ref(),
        }
    }
}

/// Parses the call; mistakes are returned as tokens that report them.
fn read(third: &Third, input: TokenStream) -> Result<Call, TokenStream> {
    let mut errors = Vec::new();
    let parse = |input: ParseStream<'_>| Ok(arguments(third, input, &mut errors));
    match parse.parse2(input) {
        Ok(Some(call)) if errors.is_empty() => Ok(call),
        Ok(_) => Err(refused(&errors)),
        Err(error) => Err(refused(&[error])),
    }
}

/// `None` if an argument is missing or invalid; the errors say which.
fn arguments(third: &Third, input: ParseStream<'_>, errors: &mut Vec<Error>) -> Option<Call> {
    let mut args = Args::default();
    let mut seen = Vec::new();
    let mut position = 0;
    let (mut level, mut name, mut value) = (None, None, None);
    while !input.is_empty() {
        let entry = if parse::is_named(input) {
            parse::named(&mut args, &mut seen, input, third.known)
        } else {
            position += 1;
            let span = input.span();
            input.parse().and_then(|expr| {
                match position {
                    _ if !seen.is_empty() => return Err(late(span)),
                    1 => level = Some(text::text(What::Level, expr)?),
                    2 => name = Some(text::text(What::Name, expr)?),
                    3 => value = Some((third.read)(expr)?),
                    _ => return Err(Error::new(span, too_many(third, &expr))),
                }
                Ok(())
            })
        };
        parse::end_entry(entry, input, errors);
    }
    if position < 2 || (third.required && position < 3) {
        errors.push(Error::new(Span::call_site(), too_few(third)));
    }
    for (tag, closure) in args.tags.iter().filter_map(|tag| Some((tag, tag.late()?))) {
        let message = format!(
            "only `#[time_me]`, `#[count_me]` and `#[histogram_me]` call a closure with the result of a function; write an \
             expression, or add the tag to a guard: `let mut guard = time!(..); guard.tag(\"{}\", ..)`",
            tag.key.value()
        );
        errors.push(Error::new_spanned(closure, message));
    }
    if args.krate.is_none() {
        errors.extend(root::missing(|path| format!("crate = {path}")));
    }
    Some(Call { level: level?, name: name?, third: value, args })
}

fn late(span: Span) -> Error {
    Error::new(span, "positional arguments come before named ones")
}

fn too_few(third: &Third) -> String {
    format!("`{}` needs {}; write {}", third.word, third.needs, third.usage)
}

fn too_many(third: &Third, expr: &Expr) -> String {
    let is_meant = |row: &&Known| matches!(expr, Expr::Path(it) if it.path.is_ident(row.word));
    if let Some(row) = third.known.iter().find(is_meant) {
        return format!("`{}` is written `{}`", row.word, row.example);
    }
    format!("too many arguments for `{}`; write {}", third.word, third.usage)
}
