"use strict";

// Everything comes from this service: no validator, no address from the query, no other host.
SwaggerUIBundle({
  url: "/docs/openapi-3.0.json",
  dom_id: "#contract",
  deepLinking: true,
  docExpansion: "list",
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null,
  queryConfigEnabled: false,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
