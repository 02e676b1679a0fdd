# Cloudflare in front of server.mjs: the parts that matter.
# Ours. Cloudflare's addresses are everybody's who is a customer: the secret is what tells your zone from another's.
#   source: forwardedHeader({ preset: 'rfc9440', from: proxySecret({ header: 'X-Proxy-Secret', secrets: [process.env.PROXY_SECRET] }) })
#   http.createServer({ maxHeaderSize: 65536 }, app)
# With client_certificate_forwarding of Access instead of the rule below: preset 'cloudflare' (Cf-Client-Cert-Der-Base64).
# Not the managed transform "Add TLS client auth headers": cf-cert-* are texts about a certificate, and cannot be validated.
resource "cloudflare_ruleset" "client_certificate" {
  zone_id = var.zone_id
  name    = "client certificate to the origin"
  kind    = "zone"
  phase   = "http_request_late_transform"

  rules = [
    {
      description = "Whatever clients send under these names goes first, on every request"
      expression  = "true"
      action      = "rewrite"
      action_parameters = {
        headers = {
          "Client-Cert"       = { operation = "remove" }
          "Client-Cert-Chain" = { operation = "remove" }
          "X-Proxy-Secret"    = { operation = "set", value = var.proxy_secret }
        }
      }
    },
    {
      description = "RFC 9440: the certificate, whatever Cloudflare thinks of it"
      expression  = "cf.tls_client_auth.cert_presented and cf.tls_client_auth.cert_rfc9440 ne \"\""
      action      = "rewrite"
      action_parameters = {
        headers = {
          "Client-Cert" = { operation = "set", expression = "cf.tls_client_auth.cert_rfc9440" }
        }
      }
    },
    {
      description = "RFC 9440: its chain"
      expression  = "cf.tls_client_auth.cert_rfc9440 ne \"\" and cf.tls_client_auth.cert_chain_rfc9440 ne \"\""
      action      = "rewrite"
      action_parameters = {
        headers = {
          "Client-Cert-Chain" = { operation = "set", expression = "cf.tls_client_auth.cert_chain_rfc9440" }
        }
      }
    },
  ]
}
