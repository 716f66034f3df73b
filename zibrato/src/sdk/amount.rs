//! The numbers that may be counted or gauged.

/// A number that may be counted or gauged: any integer up to 64 bits, or a float.
///
/// NaN and infinities cannot go on the wire; they are counted as lost (see
/// [`Stats::lost`](crate::Stats::lost)).
pub trait Amount: Copy + sealed::Sealed {
    /// The number, whole if the type is.
    #[doc(hidden)]
    fn number(self) -> Number;
}

/// A number as a cell takes it. Whole ones are added exactly.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
#[expect(unnameable_types, reason = "nobody outside is to make one")]
pub enum Number {
    Float(f64),
    Whole(i64),
}

impl Number {
    pub(crate) const fn to_f64(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Whole(value) => value as f64,
        }
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "which is what seals it")]
    pub trait Sealed {}
}

macro_rules! amounts {
    ($($type:ty => $number:expr;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Amount for $type {
            #[inline]
            fn number(self) -> Number {
                $number(self)
            }
        }
    )*};
}

fn whole_if_it_fits(value: u64) -> Number {
    i64::try_from(value).map_or(Number::Float(value as f64), Number::Whole)
}

amounts! {
    u8 => |v| Number::Whole(i64::from(v));
    u16 => |v| Number::Whole(i64::from(v));
    u32 => |v| Number::Whole(i64::from(v));
    u64 => whole_if_it_fits;
    usize => |v| whole_if_it_fits(v as u64);
    i8 => |v| Number::Whole(i64::from(v));
    i16 => |v| Number::Whole(i64::from(v));
    i32 => |v| Number::Whole(i64::from(v));
    i64 => Number::Whole;
    isize => |v| Number::Whole(v as i64);
    f32 => |v| Number::Float(f64::from(v));
    f64 => Number::Float;
}
