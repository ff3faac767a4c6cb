// https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/
SwaggerUIBundle({url: "openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null});
