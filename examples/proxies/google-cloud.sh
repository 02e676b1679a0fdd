#!/bin/sh
# Google Cloud, global external Application Load Balancer in front of server.mjs: the parts that matter.
# Ours. The ranges are Google's front ends for everybody, not yours alone: the secret is what tells your load balancer from another's.
#   source: forwardedHeader({ preset: 'google-cloud', from: allOf(
#     proxyAddress('35.191.0.0/16', '130.211.0.0/22'),
#     proxySecret({ header: 'X-Proxy-Secret', secrets: [process.env.PROXY_SECRET] }) ) })
set -eu

# Asks every client for a certificate and lets all through: whether it is any good, mtls-identity decides. Where its path was not verified, the
# load balancer leaves the certificate out; so the trust config has to hold your clients' CA all the same.
gcloud network-security server-tls-policies import clients --location=global <<POLICY
name: clients
mtlsPolicy:
  clientValidationMode: ALLOW_INVALID_OR_MISSING_CLIENT_CERT
  clientValidationTrustConfig: projects/$PROJECT/locations/global/trustConfigs/clients
POLICY

# Headers of these names that clients send are replaced, on every request.
gcloud compute backend-services update app --global \
  --custom-request-header='X-Client-Cert-Leaf:{client_cert_leaf}' \
  --custom-request-header='X-Client-Cert-Chain:{client_cert_chain}' \
  --custom-request-header="X-Proxy-Secret:$PROXY_SECRET"
