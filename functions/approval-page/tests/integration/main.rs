//! Tests of the page as a whole, over in-memory ports.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod many;
#[cfg(test)]
mod support;
