//! The arguments about outcomes, slow calls, polls and the like, one row each.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Error, Expr, Ident, Lit, LitInt, LitStr, Token};

use super::{Outcome, Sample, Slow, duration};
use crate::args::{Known, Read};
use crate::text::{self, Text, What, bare};

/// The maximum of `sample`.
const MAX_SAMPLE: u32 = 1_000_000;

pub(crate) const BUSY: Known = Known {
    word: "busy",
    example: "busy",
    read: Read::Word(|args, span| {
        args.scope.busy = Some(span);
        Ok(())
    }),
};
pub(crate) const CANCELLED: Known = Known {
    word: "cancelled",
    example: r#"cancelled(level = "warn")"#,
    read: Read::WordOrList(|args, span, input| {
        args.scope.cancelled = Some(outcome(span, input)?);
        Ok(())
    }),
};
pub(crate) const ERR: Known = Known {
    word: "err",
    example: r#"err(level = "error")"#,
    read: Read::WordOrList(|args, span, input| {
        args.scope.err = Some(outcome(span, input)?);
        Ok(())
    }),
};
pub(crate) const IN_FLIGHT: Known = Known {
    word: "in_flight",
    example: "in_flight",
    read: Read::Word(|args, span| {
        args.scope.in_flight = Some(span);
        Ok(())
    }),
};
pub(crate) const OK: Known = Known {
    word: "ok",
    example: r#"ok(level = "debug")"#,
    read: Read::WordOrList(|args, span, input| {
        args.scope.ok = Some(outcome(span, input)?);
        Ok(())
    }),
};
pub(crate) const OUTCOMES: Known = Known {
    word: "outcomes",
    example: "outcomes",
    read: Read::Word(|args, span| {
        args.scope.outcomes = Some(span);
        Ok(())
    }),
};
pub(crate) const PANIC: Known = Known {
    word: "panic",
    example: r#"panic(level = "error")"#,
    read: Read::WordOrList(|args, span, input| {
        args.scope.panic = Some(outcome(span, input)?);
        Ok(())
    }),
};
pub(crate) const POLLS: Known = Known {
    word: "polls",
    example: "polls",
    read: Read::Word(|args, span| {
        args.scope.polls = Some(span);
        Ok(())
    }),
};
pub(crate) const SAMPLE: Known = Known {
    word: "sample",
    example: "sample = 100",
    read: Read::Value(|args, input| {
        args.scope.sample = Some(sample(&bare(input.parse()?))?);
        Ok(())
    }),
};
pub(crate) const SLOW: Known = Known {
    word: "slow",
    example: r#"slow("250ms", level = "warn")"#,
    read: Read::List(|args, span, input| {
        args.scope.slow = Some(slow(span, input)?);
        Ok(())
    }),
};

fn outcome(span: Span, input: ParseStream<'_>) -> syn::Result<Outcome> {
    Ok(Outcome { span, level: level(input)? })
}

fn slow(span: Span, input: ParseStream<'_>) -> syn::Result<Slow> {
    let usage = |span| Error::new(span, format!("`slow` is written `{}`", SLOW.example));
    let lit: Lit = match input.parse() {
        Ok(lit) => lit,
        Err(_) if input.is_empty() => return Err(usage(span)),
        Err(error) => return Err(usage(error.span())),
    };
    let Lit::Str(time) = &lit else {
        let message = "the time must be a string with its unit, such as `\"250ms\"`";
        return Err(Error::new(lit.span(), message));
    };
    let written = time.value();
    let seconds = duration::seconds(&written)
        .map_err(|problem| Error::new(time.span(), format!("this time {problem}")))?;
    if !input.is_empty() && input.parse::<Token![,]>().is_err() {
        return Err(input.error("expected `,` between the arguments"));
    }
    Ok(Slow { text: written, seconds, level: level(input)? })
}

/// `level = ".."`, or nothing.
fn level(input: ParseStream<'_>) -> syn::Result<Option<Text>> {
    const USAGE: &str = "`level` is written `level = \"warn\"`";
    if input.is_empty() {
        return Ok(None);
    }
    let word = match input.call(Ident::parse_any) {
        Ok(word) if word == "level" => word,
        Ok(word) => {
            let message = format!("unknown argument `{word}`; only `level` can be given here");
            return Err(Error::new(word.span(), message));
        }
        Err(error) => {
            let given =
                input.parse::<LitStr>().map_or_else(|_| String::from("warn"), |lit| lit.value());
            let message = format!("arguments are named: write `level = {given:?}`");
            return Err(Error::new(error.span(), message));
        }
    };
    if input.parse::<Token![=]>().is_err() || input.is_empty() {
        return Err(Error::new(word.span(), USAGE));
    }
    let level = text::text(What::Level, input.parse()?)?;
    input.parse::<Option<Token![,]>>()?;
    if !input.is_empty() {
        return Err(input.error("only `level` can be given here, once"));
    }
    Ok(Some(level))
}

fn sample(expr: &Expr) -> syn::Result<Sample> {
    let span = expr.span();
    let refuse = |what: &str| {
        let message =
            format!("`sample` must be {what}: write `sample = 100` to time one call in 100");
        Error::new(span, message)
    };
    let Expr::Lit(syn::ExprLit { lit: Lit::Int(number), .. }) = expr else {
        return Err(refuse("a literal whole number"));
    };
    match LitInt::base10_parse::<u32>(number) {
        Ok(every @ 1..=MAX_SAMPLE) => Ok(Sample { span, every }),
        _ => Err(refuse("a number from 1 to 1000000")),
    }
}
