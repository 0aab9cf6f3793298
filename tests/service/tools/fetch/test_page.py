import pytest

from service.tools.fetch import page

URL = "https://example.com/a/b"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two", "one\n\ntwo"),
        ("a<br>b", "a\nb"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("a <b>b</b>\n\n\t c", "a b c"),
        ("&lt;p&gt; &amp;amp; &#65;&nbsp;b", "<p> &amp; A b"),
        ("<script>alert('x')</script>y<style>p{}</style>", "y"),
        ("<script>if (a < b) '</b>' </script>y", "y"),
        ("<noscript>x<noscript>y</noscript>z</noscript>w", "w"),
        ("<svg><title>x</title></svg>w<template><p>x</p></template>", "w"),
        ("<svg/>w<script src=x></script>", "w"),
        ("a<!-- <p>hidden --> b", "a b"),
        ('<a href="c?d#e">more</a>', "more (https://example.com/a/c?d#e)"),
        ('<a href="//x.org">x</a> <a href="#top">y</a> <a>z</a>', "x (https://x.org) y z"),
        ('<a href="javascript:alert(1)">x</a> <a href="data:,x">y</a> <a href="http://[">z</a>', "x y z"),
        ("</a></p></script>x", "x"),
        ("<a href=x", "<a href=x"),
        ("x<", "x<"),
        ("<pre>a\n  b</pre>c\nd", "a\nb\nc d"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "ab\n\nc"),
    ],
    ids=str,
)
def test_what_is_read(html, text):
    assert page.read(html, URL)[1] == text


def test_the_title_is_told_apart():
    html = "<html><head><title> A \n title </title></head><body><h1>Head</h1>text"
    assert page.read(html, URL) == ("A title", "Head\ntext")
