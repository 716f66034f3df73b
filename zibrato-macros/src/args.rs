//! What stands between the parentheses, as typed values, and the form of the rows that read it.

use proc_macro2::Span;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprClosure, ExprLit, Lit, LitInt, LitStr, Path};

use crate::scope::Scope;
use crate::tags::Tag;
use crate::text::{Text, number};

/// All arguments of a call site; `None` if an argument is not given.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) krate: Option<Path>,
    pub(crate) level: Option<Text>,
    pub(crate) name: Option<Text>,
    /// The stream of an annotation.
    pub(crate) stream: Option<Text>,
    /// The title of an annotation, a format string.
    pub(crate) title: Option<LitStr>,
    /// The description of an annotation.
    pub(crate) description: Option<Expr>,
    /// The address of the link of an annotation.
    pub(crate) link: Option<Expr>,
    pub(crate) source: Option<Text>,
    /// The unit of a histogram.
    pub(crate) unit: Option<Text>,
    pub(crate) value: Option<Expr>,
    pub(crate) on: Option<On>,
    /// Whether a gauge keeps every reading.
    pub(crate) each: bool,
    pub(crate) scope: Scope,
    pub(crate) tags: Vec<Tag>,
    /// Maximum number of series, where tags are known only at the call.
    pub(crate) max_series: Option<LitInt>,
    /// The default name of the function, from the attribute on its block.
    pub(crate) called: Option<LitStr>,
    /// Whether only the call is measured, and not the returned future.
    pub(crate) call: Option<Span>,
}

impl Args {
    /// The single outcome that `on` counts, unless it counts all.
    pub(crate) fn one_outcome(&self) -> Option<&On> {
        self.on.as_ref().filter(|on| on.when != When::Always)
    }

    /// The closure that takes the value of a histogram from the result.
    pub(crate) fn reading(&self) -> Option<&ExprClosure> {
        match &self.value {
            Some(Expr::Closure(closure)) => Some(closure),
            _ => None,
        }
    }

    /// Whether the value of a tag depends on the result.
    pub(crate) fn has_late_tags(&self) -> bool {
        self.tags.iter().any(|tag| tag.late().is_some())
    }
}

/// When a counted function counts.
pub(crate) struct On {
    pub(crate) when: When,
    pub(crate) span: Span,
    /// What says whether a result is counted.
    pub(crate) look: Option<ExprClosure>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum When {
    Always,
    Err,
    Ok,
    /// A closure says so of the result.
    Result,
}

/// One argument that a macro knows.
pub(crate) struct Known {
    pub(crate) word: &'static str,
    pub(crate) example: &'static str,
    pub(crate) read: Read,
}

/// How an argument is written, and what reads it. The span is that of the word.
pub(crate) enum Read {
    /// `word(…)`
    List(fn(&mut Args, Span, ParseStream<'_>) -> syn::Result<()>),
    /// `word = …`
    Value(fn(&mut Args, ParseStream<'_>) -> syn::Result<()>),
    /// `word`
    Word(fn(&mut Args, Span) -> syn::Result<()>),
    /// `word` or `word(…)`
    WordOrList(fn(&mut Args, Span, ParseStream<'_>) -> syn::Result<()>),
}

pub(crate) fn on(expr: &Expr) -> syn::Result<On> {
    let span = expr.span();
    if let Expr::Closure(closure) = expr {
        if closure.inputs.len() != 1 {
            let message = "the closure takes a reference to the result: write `on = |r| ..`";
            return Err(Error::new(span, message));
        }
        return Ok(On { when: When::Result, span, look: Some(closure.clone()) });
    }
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expr else {
        let message = "`on` must be a string or a closure: write `on = \"ok\"`, `on = \"err\"`, \
                       `on = \"always\"` or `on = |r| ..`";
        return Err(Error::new(span, message));
    };
    let when = match text.value().as_str() {
        "always" => When::Always,
        "err" => When::Err,
        "ok" => When::Ok,
        other => {
            let message = format!(
                "`on` must be \"ok\", \"err\", \"always\" or a closure over the result, not {other:?}"
            );
            return Err(Error::new(span, message));
        }
    };
    Ok(On { when, span, look: None })
}

/// The value of a histogram: of the arguments of the function, or of its result.
pub(crate) fn reading(expr: Expr) -> syn::Result<Expr> {
    let expr = number("value", expr)?;
    match &expr {
        Expr::Closure(closure) if closure.inputs.len() != 1 => {
            let message = "the closure takes a reference to the result: write `value = |r| ..`";
            Err(Error::new_spanned(closure, message))
        }
        _ => Ok(expr),
    }
}

/// The amount of a counter.
pub(crate) fn amount(expr: Expr) -> syn::Result<Expr> {
    let expr = number("value", expr)?;
    match &expr {
        Expr::Closure(closure) => {
            let message = "`#[count_me]` counts what is known when the call begins; a number of the result \
                           is the value of a histogram: `#[histogram_me(value = |r| ..)]`";
            Err(Error::new_spanned(closure, message))
        }
        _ => Ok(expr),
    }
}

pub(crate) fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    if input.peek(LitStr) {
        return Err(input.error("`crate` must be a path: write it without quotes"));
    }
    input.call(Path::parse_mod_style)
}
