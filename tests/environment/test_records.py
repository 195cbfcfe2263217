import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from uvflow.environment.records import fields


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, alphabet=st.characters(exclude_characters="\r\n", codec="utf-8")),
            st.sampled_from(["", "sha256=AAAA"]),
            st.sampled_from(["", "0", "12"]),
        )
    )
)
def test_rows_are_read_as_pythons_csv_writes_them(rows: list[tuple[str, str, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    assert list(fields(text.getvalue())) == rows


@given(st.text())
def test_garbage_gives_rows_and_never_an_error(text: str) -> None:
    assert all(name for name, _, _ in fields(text))
