import { base64Der, commaSeparated, commaSeparatedEscaped, haproxyDer, openshiftDer } from './base64-der.js'
import type { HeaderDecoder } from './decoding.js'
import { awsPem, awsPemChain, cloudfrontPem, escapedPem } from './escaped-pem.js'
import { rfc9440 } from './rfc9440.js'
import { spacedPem } from './spaced-pem.js'
import { xfcc } from './xfcc.js'

/** What one product sends. A new product is a new row, and a decoder where its grammar is new. */
export interface Preset {
  /** Header fields, lower case. A product without a convention has none: the operator names the one it was told to set. */
  readonly certificate: string | undefined
  /** Undefined: no field of its own; `named`: one or several, which the operator names. */
  readonly chain: string | 'named' | undefined
  /** The chain field is a List (RFC 9651 §3.1), which may come on several lines. */
  readonly chainIsList?: true
  /** A decoder, or what makes one for a number of trusted hops. */
  readonly decoder: HeaderDecoder | ((trustedHops: number) => HeaderDecoder)
  /** Whether the value of the certificate field itself may hold more than the end entity. */
  readonly chainInValue: boolean
  /** Octets of header for one octet of DER, for the check of maxHeaderSize. */
  readonly expansion: number
  /** What it writes where there is no certificate, beside nothing and an empty value. */
  readonly absent: readonly string[]
  /** The one value of the product's verdict that says "verified", and those that say "there was no certificate". */
  readonly status?: { readonly accepts: string; readonly none: readonly string[] }
  readonly serialNumber?: 'hex' | 'decimal'
  /** What to look at where the proxy sends no certificate. */
  readonly whereToLook: string
  /** What to look at where the verdict is "verified" and the certificate is missing. */
  readonly blank?: string
}

export type PresetName =
  | 'rfc9440'
  | 'nginx'
  | 'haproxy'
  | 'apache'
  | 'caddy'
  | 'traefik'
  | 'traefik-2.9.1'
  | 'envoy'
  | 'aws-alb'
  | 'aws-alb-verify'
  | 'cloudfront'
  | 'google-cloud'
  | 'cloudflare'
  | 'azure-app-service'
  | 'azure-application-gateway'
  | 'azure-container-apps'
  | 'azure-api-management'
  | 'cloud-foundry'
  | 'openshift'
  | 'kong'

const base64Expansion = 4 / 3
/** Every 65th octet is `%0A`, and one in twenty of base64 is `+` or `/`. */
const percentExpansion = 1.5

const openssl = { accepts: 'SUCCESS', none: ['NONE'] }
const caddyPlaceholder = '{http.request.tls.client.certificate_der_base64}'

/** Product → header fields and decoder. Formats are named by the operator and never guessed from a value. */
export const presets: { readonly [name in PresetName]: Preset } = {
  // RFC 9440 §2.2, §2.3: Client-Cert-Chain comes from the issuer of the end entity upwards, which is not in it. `::` and the wrapped
  // placeholder are what proxies without a condition write for no certificate (captured from HAProxy and Caddy).
  rfc9440: {
    certificate: 'client-cert',
    chain: 'client-cert-chain',
    chainIsList: true,
    decoder: rfc9440,
    chainInValue: false,
    expansion: base64Expansion,
    absent: ['::', `:${caddyPlaceholder}:`],
    whereToLook: 'RFC 9440 lets the proxy leave it out where the client sent none',
  },
  // nginx has a variable and no header; X-SSL-Client-Cert is what its documentation and most recipes call it. It has no chain variable.
  // ngx_http_ssl_module, $ssl_client_escaped_cert, $ssl_client_verify; captured from 1.22.1. ingress-nginx: ssl-client-cert, ssl-client-verify.
  nginx: {
    certificate: 'x-ssl-client-cert',
    chain: undefined,
    decoder: escapedPem,
    chainInValue: false,
    expansion: percentExpansion,
    absent: [],
    status: openssl,
    serialNumber: 'hex',
    whereToLook:
      'repeat proxy_set_header in a location that has any of its own; ingress-nginx: auth-tls-secret and auth-tls-pass-certificate-to-upstream',
  },
  // HAProxy configuration manual §7.3.4, ssl_c_der, ssl_c_chain_der, ssl_c_verify; captured from 2.6.12. The verdict is an X509_V_ERR code, and
  // "0" as well where there was no certificate.
  haproxy: {
    certificate: 'x-ssl-client-cert',
    chain: 'named',
    decoder: haproxyDer,
    chainInValue: false,
    expansion: base64Expansion,
    absent: [],
    status: { accepts: '0', none: [] },
    serialNumber: 'hex',
    whereToLook: 'http-request set-header has to be in every frontend and backend that leads here',
    blank:
      "a certificate over HAProxy's 16 KiB is blanked: tune.bufsize 65536; or the verdict is set without { ssl_c_used }",
  },
  // mod_ssl, SSL_CLIENT_CERT, SSL_CLIENT_CERT_CHAIN_n, SSL_CLIENT_VERIFY; mod_headers writes "(null)" for nothing. Captured from 2.4.71.
  apache: {
    certificate: 'x-ssl-client-cert',
    chain: 'named',
    decoder: spacedPem,
    chainInValue: false,
    expansion: 1.4,
    absent: ['(null)'],
    status: { accepts: 'SUCCESS', none: ['NONE', '(null)'] },
    serialNumber: 'hex',
    whereToLook: 'RequestHeader set has to be in every VirtualHost, and SSLOptions +ExportCertData with it',
  },
  // Caddy, placeholder http.request.tls.client.certificate_der_base64; captured from 2.6.2: without a certificate the placeholder itself comes.
  caddy: {
    certificate: 'x-client-cert',
    chain: undefined,
    decoder: base64Der,
    chainInValue: false,
    expansion: base64Expansion,
    absent: [caddyPlaceholder],
    serialNumber: 'decimal',
    whereToLook: 'header_up has to be in every reverse_proxy',
  },
  // Traefik, middleware PassTLSClientCert with pem: true; captured from its source. Since 2.9.2 not escaped.
  traefik: {
    certificate: 'x-forwarded-tls-client-cert',
    chain: undefined,
    decoder: commaSeparated,
    chainInValue: true,
    expansion: base64Expansion,
    absent: [],
    serialNumber: 'decimal',
    whereToLook: 'the middleware passTLSClientCert (pem: true) has to be on every router',
  },
  // Traefik commit 2c550c284d changed it: before, each certificate went through url.QueryEscape.
  'traefik-2.9.1': {
    certificate: 'x-forwarded-tls-client-cert',
    chain: undefined,
    decoder: commaSeparatedEscaped,
    chainInValue: true,
    expansion: percentExpansion,
    absent: [],
    serialNumber: 'decimal',
    whereToLook: 'the middleware passTLSClientCert (pem: true) has to be on every router',
  },
  // Envoy, source/common/http/conn_manager_utility.cc, mutateXfccRequestHeader(), with set_current_client_cert_details { cert, chain }; so Istio,
  // Contour, Envoy Gateway. There is format: JSON since 2026, which is not read. What Envoy's contrib filter client_cert sends is preset rfc9440,
  // %DOWNSTREAM_PEER_CERT% in a header of the operator's preset nginx: source/common/tls/connection_info_impl_base.cc escapes the same five.
  envoy: {
    certificate: 'x-forwarded-client-cert',
    chain: undefined,
    decoder: xfcc,
    chainInValue: true,
    expansion: percentExpansion,
    absent: [],
    whereToLook: 'forward_client_cert_details: SANITIZE_SET, and require_client_certificate on the listener',
  },
  // AWS, Application Load Balancers, "Mutual authentication with TLS": passthrough mode verifies nothing, and sends leaf to root.
  'aws-alb': {
    certificate: 'x-amzn-mtls-clientcert',
    chain: undefined,
    decoder: awsPemChain,
    chainInValue: true,
    expansion: percentExpansion,
    absent: [],
    whereToLook: 'the listener has to be in passthrough mode; in verify mode the preset is aws-alb-verify',
  },
  // The same page: verify mode sends the end entity alone.
  'aws-alb-verify': {
    certificate: 'x-amzn-mtls-clientcert-leaf',
    chain: undefined,
    decoder: awsPem,
    chainInValue: false,
    expansion: percentExpansion,
    absent: [],
    serialNumber: 'hex',
    whereToLook: 'the listener has to be in verify mode; in passthrough mode the preset is aws-alb',
  },
  // CloudFront Developer Guide, "Viewer mTLS headers". In passthrough mode it sends Client-Cert: preset rfc9440.
  cloudfront: {
    certificate: 'cloudfront-viewer-cert-pem',
    chain: undefined,
    decoder: cloudfrontPem,
    chainInValue: false,
    expansion: percentExpansion,
    absent: [],
    status: { accepts: '1', none: ['0'] },
    serialNumber: 'hex',
    whereToLook:
      'the origin request policy has to name CloudFront-Viewer-Cert-Pem; in passthrough mode the preset is rfc9440',
  },
  // Google Cloud, Application Load Balancer, "Mutual TLS custom headers": {client_cert_leaf} and {client_cert_chain} are RFC 9440 values, and
  // empty where the client sent none or its path was not verified.
  'google-cloud': {
    certificate: 'x-client-cert-leaf',
    chain: 'x-client-cert-chain',
    chainIsList: true,
    decoder: rfc9440,
    chainInValue: false,
    expansion: base64Expansion,
    absent: [],
    status: { accepts: 'true', none: ['false'] },
    serialNumber: 'hex',
    whereToLook: 'customRequestHeaders of the backend service: X-Client-Cert-Leaf:{client_cert_leaf}',
  },
  // Cloudflare, API Shield / Access mTLS, client_certificate_forwarding. cf-cert-verified is "true" for a revoked certificate too.
  cloudflare: {
    certificate: 'cf-client-cert-der-base64',
    chain: undefined,
    decoder: base64Der,
    chainInValue: false,
    expansion: base64Expansion,
    absent: [],
    status: { accepts: 'true', none: ['false'] },
    serialNumber: 'hex',
    whereToLook: 'client_certificate_forwarding has to be on for this host',
  },
  // Azure App Service, "Configure TLS mutual authentication", X-ARR-ClientCert: base64 of the certificate; nothing is verified.
  'azure-app-service': {
    certificate: 'x-arr-clientcert',
    chain: undefined,
    decoder: base64Der,
    chainInValue: false,
    expansion: base64Expansion,
    absent: [],
    whereToLook: 'App Service: clientCertEnabled and clientCertExclusionPaths',
  },
  // Azure Application Gateway, rewrite rules, server variable client_certificate (nginx's escaped form); the operator names the header.
  // client_certificate_verification is SUCCESS or empty in strict mode, PASSTHROUGH or NONE in passthrough mode, where statusAccepts says so.
  'azure-application-gateway': {
    certificate: 'x-client-certificate',
    chain: undefined,
    decoder: escapedPem,
    chainInValue: false,
    expansion: percentExpansion,
    absent: [],
    status: openssl,
    serialNumber: 'hex',
    whereToLook: 'the rewrite set with {var_client_certificate} has to be on every rule',
  },
  // Azure Container Apps, "Client certificate authorization": Hash, Cert and Chain in XFCC's grammar, with a semicolon behind the last.
  'azure-container-apps': {
    certificate: 'x-forwarded-client-cert',
    chain: undefined,
    decoder: xfcc,
    chainInValue: true,
    expansion: percentExpansion,
    absent: [],
    whereToLook: 'ingress clientCertificateMode: require or accept',
  },
  // Azure API Management, policy set-header with Convert.ToBase64String(context.Request.Certificate.RawData): see examples/proxies/.
  'azure-api-management': {
    certificate: 'x-client-cert',
    chain: undefined,
    decoder: base64Der,
    chainInValue: false,
    expansion: base64Expansion,
    absent: [],
    serialNumber: 'hex',
    whereToLook: 'APIM: Negotiate client certificate on the custom domain',
  },
  // Cloud Foundry, gorouter, forwarded_client_cert: X-Forwarded-Client-Cert is the body of the PEM block on one line, not Envoy's grammar.
  'cloud-foundry': {
    certificate: 'x-forwarded-client-cert',
    chain: undefined,
    decoder: base64Der,
    chainInValue: false,
    expansion: base64Expansion,
    absent: [],
    whereToLook: 'router.forwarded_client_cert: sanitize_set',
  },
  // OpenShift router, haproxy-config.template: X-SSL-Client-DER is %{+Q}[ssl_c_der,base64], X-SSL-Client-Verify %[ssl_c_verify].
  openshift: {
    certificate: 'x-ssl-client-der',
    chain: undefined,
    decoder: openshiftDer,
    chainInValue: false,
    expansion: base64Expansion,
    absent: [],
    status: { accepts: '0', none: [] },
    serialNumber: 'hex',
    whereToLook:
      'IngressController spec.clientTLS.clientCertificatePolicy, and a route with edge or reencrypt termination',
    blank: "a certificate over HAProxy's 16 KiB is blanked: ROUTER_BUF_SIZE",
  },
  // Kong, plugin tls-metadata-headers, client_cert_header_name: the URL-encoded PEM of nginx. The plugin verifies nothing.
  kong: {
    certificate: 'x-client-cert',
    chain: undefined,
    decoder: escapedPem,
    chainInValue: false,
    expansion: percentExpansion,
    absent: [],
    serialNumber: 'hex',
    whereToLook: 'tls-metadata-headers with inject_client_cert_details, beside a plugin that asks for the certificate',
  },
}

/**
 * Values that say "no certificate", whichever product sends them: a proxy may pass on what another one, or a wrapping of colons, made of
 * nothing. None of them can be a certificate in any format.
 */
export const absentForms: ReadonlySet<string> = new Set(Object.values(presets).flatMap(({ absent }) => absent))
const longestAbsentForm = Math.max(...[...absentForms].map(({ length }) => length))

/** Told by the length first: a set would hash all of a certificate, for every request. */
export const isAbsentForm = (value: string): boolean => value.length <= longestAbsentForm && absentForms.has(value)

/** Sources that forward text about a certificate and never the certificate: what they say cannot be validated. */
export const textOnly: Readonly<Record<string, string>> = {
  linkerd: 'l5d-client-id is a name, not a certificate — let Linkerd authorise, or take TLS through to the application',
  'cloudflare-transform':
    'cf-cert-* are texts about a certificate — use client_certificate_forwarding (preset cloudflare) or a rule with cert_rfc9440 (preset rfc9440)',
  'aws-alb-verify-text':
    'without X-Amzn-Mtls-Clientcert-Leaf there are only texts about a certificate — forward the Leaf header (preset aws-alb-verify)',
  'traefik-info':
    'X-Forwarded-Tls-Client-Cert-Info is text a certificate can write into — forward the certificate: pem: true (preset traefik)',
}

/** Fields of those sources, for whoever names one of them. */
export const textFields: readonly [field: RegExp, source: keyof typeof textOnly][] = [
  [/^l5d-client-id$/, 'linkerd'],
  [/^cf-cert-/, 'cloudflare-transform'],
  [/^x-amzn-mtls-clientcert-(?:serial-number|issuer|subject|validity)$/, 'aws-alb-verify-text'],
  [/^x-forwarded-tls-client-cert-info/, 'traefik-info'],
]
