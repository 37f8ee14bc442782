import pytest

from core.datasets.convert.xml_file import declared_size, number, read_xml


@pytest.fixture
def written(tmp_path):
    def write(content: bytes):
        path = tmp_path / "a.xml"
        path.write_bytes(content)
        return path

    return write


def test_elements_know_their_line(written):
    root = read_xml(written(b'<?xml version="1.0"?>\n<a>\n<b c="1">text</b></a>'))
    assert (root.tag, root.line) == ("a", 2)
    assert (root.find("b").line, root.find("b").get("c"), root.findtext("b")) == (3, "1", "text")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "definition",
    [
        '<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd">',
    ],
)
def test_entities_are_refused_in_any_encoding(written, definition, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>{definition}<a>&y;</a>'
    with pytest.raises(ValueError, match=r"a\.xml: has a document type"):
        read_xml(written(text.encode(encoding)))


@pytest.mark.parametrize(
    "content",
    [b"", b"<a>", b"<a></b>", b"<a/><b/>", b"\x00\x01", b'<?xml version="1.0" encoding="none"?><a/>', b"<a>&x;</a>"],
)
def test_what_is_not_well_formed_is_refused(written, content):
    with pytest.raises(ValueError, match=r"a\.xml: not valid XML"):
        read_xml(written(content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"b\.xml: cannot be read \(No such file"):
        read_xml(tmp_path / "b.xml")


def test_numbers_are_finite():
    assert number(" 1.5 ", "here", "x") == 1.5
    for text in (None, "", "one", "nan", "inf", "1e300"):
        with pytest.raises(ValueError, match=r"here: x is .*, expected a number"):
            number(text, "here", "x")


def test_a_size_of_zeros_is_none():
    assert declared_size("40", "24", "here") == (40, 24)
    assert declared_size(None, None, "here") is None
    assert declared_size("0", "0", "here") is None
    with pytest.raises(ValueError, match="height is None"):
        declared_size("40", None, "here")
