"""The page and the service: `quietpixel serve`.

`quietpixel.web.server.serve` listens, `quietpixel.web.app.make_app` is the application, and what a
request goes through on its way lies beside them: `middleware`, `uploads` and `request_queue` with
their limits, `app_state` with the threads, `problems` for errors.
"""
