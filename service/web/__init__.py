"""The web face. With app.py the only room that knows Litestar."""
