"""The web page and the HTTP service behind `quietpixel serve`.

`server` listens, `app` builds the FastAPI application, `middleware` guards it, `app_state` runs the
work in threads, and `request_queue` and `uploads` enforce the limits. `jobs` keeps the work on
large images, and `static_page` writes the page as files that need no service.
"""
