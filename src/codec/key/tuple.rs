//! Tuples of two to six elements: their elements one after the other.

use super::{AsKey, CodecError, Key, Prefix, Shape};

macro_rules! tuple {
    ($($key:ident $query:ident $index:tt),*) => {
        impl<$($key: Key),*> Key for ($($key,)*) {
            const SHAPE: Shape = Shape::Tuple(&[$($key::SHAPE),*]);
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                Ok(($($key::decode(input)?,)*))
            }
        }

        impl<$($key: Key, $query: AsKey<$key>),*> AsKey<($($key,)*)> for ($($query,)*) {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$index.encode(out);)*
            }
        }
    };
}

macro_rules! prefix {
    ($($key:ident $query:ident $index:tt),*; $($rest:ident),*) => {
        impl<$($key: Key, $query: AsKey<$key>,)* $($rest: Key),*> Prefix<($($key,)* $($rest,)*)>
            for ($($query,)*)
        {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$index.encode(out);)*
            }
        }
    };
}

tuple!(A QA 0, B QB 1);
tuple!(A QA 0, B QB 1, C QC 2);
tuple!(A QA 0, B QB 1, C QC 2, D QD 3);
tuple!(A QA 0, B QB 1, C QC 2, D QD 3, E QE 4);
tuple!(A QA 0, B QB 1, C QC 2, D QD 3, E QE 4, F QF 5);

prefix!(A QA 0; B);
prefix!(A QA 0; B, C);
prefix!(A QA 0; B, C, D);
prefix!(A QA 0; B, C, D, E);
prefix!(A QA 0; B, C, D, E, F);
prefix!(A QA 0, B QB 1; C);
prefix!(A QA 0, B QB 1; C, D);
prefix!(A QA 0, B QB 1; C, D, E);
prefix!(A QA 0, B QB 1; C, D, E, F);
prefix!(A QA 0, B QB 1, C QC 2; D);
prefix!(A QA 0, B QB 1, C QC 2; D, E);
prefix!(A QA 0, B QB 1, C QC 2; D, E, F);
prefix!(A QA 0, B QB 1, C QC 2, D QD 3; E);
prefix!(A QA 0, B QB 1, C QC 2, D QD 3; E, F);
prefix!(A QA 0, B QB 1, C QC 2, D QD 3, E QE 4; F);
