//! Where a text stops being JSON, in the words of Python's parser: clients of Agno know them.

/// How deep the reading follows; serde's own bound. Deeper texts are told in other words.
const MAX_DEPTH: usize = 128;

/// Not a fault that Python would name so.
const TOO_DEEP: &str = "too deep";

/// What was expected and was not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonFault {
    /// What was expected, or what must not be.
    pub message: &'static str,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// Character, counted from 0.
    pub character: usize,
}

type Read = Result<usize, (&'static str, usize)>;

/// The first fault of a text; `None` if there is none that Python would find.
pub(crate) fn find(text: &str) -> Option<JsonFault> {
    let reader = Reader(text.chars().collect());
    let (message, character) = reader.document().err()?;
    if message == TOO_DEEP {
        return None;
    }
    let before = &reader.0[..character.min(reader.0.len())];
    let line = before.iter().filter(|it| **it == '\n').count() + 1;
    let column = before.iter().rev().take_while(|it| **it != '\n').count() + 1;
    Some(JsonFault { message, line, column, character })
}

struct Reader(Vec<char>);

impl Reader {
    fn document(&self) -> Read {
        if self.at(0) == Some('\u{feff}') {
            return Err(("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
        }
        let end = self.value(self.blanks(0), 0)?;
        let rest = self.blanks(end);
        if rest < self.0.len() { Err(("Extra data", rest)) } else { Ok(rest) }
    }

    fn at(&self, place: usize) -> Option<char> {
        self.0.get(place).copied()
    }

    fn blanks(&self, mut place: usize) -> usize {
        while matches!(self.at(place), Some(' ' | '\t' | '\n' | '\r')) {
            place += 1;
        }
        place
    }

    fn value(&self, place: usize, depth: usize) -> Read {
        if MAX_DEPTH < depth {
            return Err((TOO_DEEP, place));
        }
        match self.at(place) {
            Some('"') => self.string(place),
            Some('{') => self.object(place + 1, depth),
            Some('[') => self.array(place + 1, depth),
            Some('-' | '0'..='9') => self.number(place),
            _ => ["null", "true", "false"]
                .into_iter()
                .find(|word| word.chars().enumerate().all(|(i, it)| self.at(place + i) == Some(it)))
                .map_or(Err(("Expecting value", place)), |word| Ok(place + word.len())),
        }
    }

    fn object(&self, mut place: usize, depth: usize) -> Read {
        const NAME: &str = "Expecting property name enclosed in double quotes";
        place = self.blanks(place);
        if self.at(place) == Some('}') {
            return Ok(place + 1);
        }
        loop {
            if self.at(place) != Some('"') {
                return Err((NAME, place));
            }
            place = self.blanks(self.string(place)?);
            if self.at(place) != Some(':') {
                return Err(("Expecting ':' delimiter", place));
            }
            place = self.blanks(self.value(self.blanks(place + 1), depth + 1)?);
            match self.at(place) {
                Some('}') => return Ok(place + 1),
                Some(',') => place = self.blanks(place + 1),
                _ => return Err(("Expecting ',' delimiter", place)),
            }
        }
    }

    fn array(&self, mut place: usize, depth: usize) -> Read {
        place = self.blanks(place);
        if self.at(place) == Some(']') {
            return Ok(place + 1);
        }
        loop {
            place = self.blanks(self.value(place, depth + 1)?);
            match self.at(place) {
                Some(']') => return Ok(place + 1),
                Some(',') => place = self.blanks(place + 1),
                _ => return Err(("Expecting ',' delimiter", place)),
            }
        }
    }

    /// The longest beginning that is a number; what follows it is somebody else's fault.
    fn number(&self, start: usize) -> Read {
        let digits = |from: usize| {
            from + self.0[from.min(self.0.len())..]
                .iter()
                .take_while(|it| it.is_ascii_digit())
                .count()
        };
        let whole = if self.at(start) == Some('-') { start + 1 } else { start };
        let mut end = match self.at(whole) {
            Some('0') => whole + 1,
            Some('1'..='9') => digits(whole),
            _ => return Err(("Expecting value", start)),
        };
        if self.at(end) == Some('.') && end + 1 < digits(end + 1) {
            end = digits(end + 1);
        }
        if matches!(self.at(end), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.at(end + 1), Some('+' | '-')));
            let exponent = end + 1 + sign;
            if exponent < digits(exponent) {
                end = digits(exponent);
            }
        }
        Ok(end)
    }

    fn string(&self, start: usize) -> Read {
        let mut place = start + 1;
        loop {
            match self.at(place) {
                None => return Err(("Unterminated string starting at", start)),
                Some('"') => return Ok(place + 1),
                Some('\u{0}'..='\u{1f}') => return Err(("Invalid control character at", place)),
                Some('\\') => place = self.escape(start, place)?,
                Some(_) => place += 1,
            }
        }
    }

    fn escape(&self, start: usize, place: usize) -> Read {
        match self.at(place + 1) {
            None => Err(("Unterminated string starting at", start)),
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => Ok(place + 2),
            Some('u') => {
                let hex =
                    (2..6).all(|it| self.at(place + it).is_some_and(|it| it.is_ascii_hexdigit()));
                if hex { Ok(place + 6) } else { Err(("Invalid \\uXXXX escape", place + 1)) }
            }
            Some(_) => Err(("Invalid \\escape", place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        find(text).map_or("good".to_owned(), |it| format!("{} {}", it.message, it.character))
    }

    /// Recorded from Python 3.11.
    #[test]
    fn faults_are_found_where_python_finds_them() {
        for (texts, message, character) in [
            (
                &["{bad", "{", "{'a': 1}", "{,}", "{/* c */}", "{1: 2}"][..],
                "Expecting property name enclosed in double quotes",
                1,
            ),
            (&["{\"a\": 1,}"], "Expecting property name enclosed in double quotes", 8),
            (&["{\"a\" 1}"], "Expecting ':' delimiter", 5),
            (&["{\"a\""], "Expecting ':' delimiter", 4),
            (&["{\"a\":}", "{\"a\":"], "Expecting value", 5),
            (&["{\"a\": }"], "Expecting value", 6),
            (&["{\"a\": 1"], "Expecting ',' delimiter", 7),
            (&["{\"a\": 1 \"b\": 2}"], "Expecting ',' delimiter", 8),
            (&["{\"a\": [1 2]}"], "Expecting ',' delimiter", 9),
            (&["{\"a\": [1, 2}"], "Expecting ',' delimiter", 11),
            (
                &[
                    "{\"a\": tru}",
                    "{\"a\": True}",
                    "{\"a\": .5}",
                    "{\"a\": +1}",
                    "{\"a\": -}",
                    "{\"a\": 'b'}",
                ],
                "Expecting value",
                6,
            ),
            (
                &["{\"a\": 01}", "{\"a\": 1.}", "{\"a\": 1e}", "{\"a\": 0x10}"],
                "Expecting ',' delimiter",
                7,
            ),
            (&["{\"a\": [1,]}"], "Expecting value", 9),
            (&["{\"a\": [,1]}"], "Expecting value", 7),
            (&["[", " "], "Expecting value", 1),
            (&["nul", "-", "// c\n{}", "\u{a0}{}"], "Expecting value", 0),
            (&["{}x"], "Extra data", 2),
            (&["{} {}"], "Extra data", 3),
            (&["{\"a\": 1}]"], "Extra data", 8),
            (&["{\"a\": \"b", "{\"a\": \"\\"], "Unterminated string starting at", 6),
            (&["{\"a\": \"b\nc\"}"], "Invalid control character at", 8),
            (&["{\"a\": \"\\x\"}"], "Invalid \\escape", 7),
            (&["{\"a\": \"\\u12\"}"], "Invalid \\uXXXX escape", 8),
            (&["\u{feff}{}"], "Unexpected UTF-8 BOM (decode using utf-8-sig)", 0),
        ] {
            for text in texts {
                assert_eq!(told(text), format!("{message} {character}"), "{text}");
            }
        }
        let fault = find("{\n  \"a\": 1,\n  b: 2\n}").unwrap();
        assert_eq!((fault.line, fault.column, fault.character), (3, 3, 14));
    }

    #[test]
    fn what_is_json_has_no_fault_and_depth_is_bounded() {
        for text in ["{}", " [1, -0.5e+7, \"\\u00e4\\n\", null, true, {\"a\": {}}] "] {
            assert_eq!(find(text), None, "{text}");
        }
        assert_eq!(find(&"[".repeat(100_000)), None);
    }
}
