"""The whole product on one machine: servers, environment, processes, the demo."""
