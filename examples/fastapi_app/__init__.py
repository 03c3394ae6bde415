"""A web API on top of the data layer: `uvicorn examples.fastapi_app.app:app`."""
