/**
 * What each product writes for a client's certificates, after its documentation or what was captured from it: the encoders the decoders of
 * src/source/ are the inverse of. `src/source/presets.ts` cites the sources.
 */
import { hash } from 'node:crypto'
import type { PresetName } from '../../src/index.js'

/** Header fields, as a proxy sends them. */
export type Fields = readonly (readonly [name: string, value: string])[]

export interface Product {
  /** The fields for a client; `chain` are the certificates behind the end entity. */
  readonly write: (leaf: Uint8Array, chain: readonly Uint8Array[]) => Fields
  /** The fields for a client without a certificate, in each of the forms the product has. */
  readonly none: readonly Fields[]
  /** Whether the chain comes along. */
  readonly sendsChain: boolean
  /** Options beside the preset without which it does not read all of `write`. */
  readonly headers?: { chain: string | readonly string[] }
}

const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64')
export const pemOf = (der: Uint8Array) =>
  `-----BEGIN CERTIFICATE-----\n${base64(der).replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
export const byteSequence = (der: Uint8Array) => `:${base64(der)}:`

/** RFC 3986 §2.3 stays, and what `also` names. */
export const percentEncode = (text: string, also = '') =>
  text.replace(/[^A-Za-z0-9._~-]/g, (c) =>
    also.includes(c) ? c : `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
  )

/** Envoy, source/common/http/…: these five and no other. */
const envoyPem = (text: string) => text.replace(/[\n +/=]/g, (c) => percentEncode(c))

/** One element as Envoy writes it: By and Hash, then what set_current_client_cert_details names. */
export function xfccElement(leaf: Uint8Array, chain: readonly Uint8Array[], extra = ''): string {
  const cert = envoyPem(pemOf(leaf))
  const all = envoyPem([leaf, ...chain].map(pemOf).join(''))
  return `By=spiffe://acme.test/gateway;Hash=${hash('sha256', leaf, 'hex')};Cert="${cert}";Chain="${all}";Subject="CN=a\\,b\\";c";URI=spiffe://acme.test/a;DNS=a.acme.test${extra}`
}

const one =
  (name: string, encode: (leaf: Uint8Array) => string): Product['write'] =>
  (leaf) => [[name, encode(leaf)]]

const missing: Fields = []
const empty = (name: string): Fields => [[name, '']]
const spaced = (der: Uint8Array) => pemOf(der).slice(0, -1).replaceAll('\n', ' ')
const nginxPem = (leaf: Uint8Array) => percentEncode(pemOf(leaf))

export const products: { readonly [name in PresetName]: Product } = {
  rfc9440: {
    write: (leaf, chain) => [
      ['Client-Cert', byteSequence(leaf)],
      ...(chain.length === 0 ? [] : [['Client-Cert-Chain', chain.map(byteSequence).join(', ')] as const]),
    ],
    none: [
      missing,
      empty('Client-Cert'),
      [['Client-Cert', '::']],
      [
        ['Client-Cert', ''],
        ['Client-Cert-Chain', ''],
      ],
      [['Client-Cert', ':{http.request.tls.client.certificate_der_base64}:']],
    ],
    sendsChain: true,
  },
  nginx: { write: one('X-SSL-Client-Cert', nginxPem), none: [missing], sendsChain: false },
  haproxy: {
    // Captured: names in lower case, an empty value where there is nothing.
    write: (leaf, chain) => [
      ['x-ssl-client-cert', base64(leaf)],
      ['x-ssl-client-chain', chain.length === 0 ? '' : base64(Buffer.concat(chain))],
    ],
    none: [
      missing,
      [
        ['x-ssl-client-cert', ''],
        ['x-ssl-client-chain', ''],
      ],
    ],
    sendsChain: true,
    headers: { chain: 'X-SSL-Client-Chain' },
  },
  apache: {
    write: (leaf, chain) => [
      ['X-SSL-Client-Cert', spaced(leaf)],
      ...[0, 1, 2].map(
        (n) => [`X-SSL-Client-Chain-${n}`, chain[n] === undefined ? '(null)' : spaced(chain[n])] as const,
      ),
    ],
    none: [
      missing,
      [['X-SSL-Client-Cert', '(null)']],
      [
        ['X-SSL-Client-Cert', '(null)'],
        ['X-SSL-Client-Chain-0', '(null)'],
      ],
    ],
    sendsChain: true,
    headers: { chain: ['X-SSL-Client-Chain-0', 'X-SSL-Client-Chain-1', 'X-SSL-Client-Chain-2'] },
  },
  caddy: {
    write: one('X-Client-Cert', base64),
    none: [[['X-Client-Cert', '{http.request.tls.client.certificate_der_base64}']], missing],
    sendsChain: false,
  },
  traefik: {
    write: (leaf, chain) => [['X-Forwarded-Tls-Client-Cert', [leaf, ...chain].map(base64).join(',')]],
    none: [missing],
    sendsChain: true,
  },
  'traefik-2.9.1': {
    write: (leaf, chain) => [
      ['X-Forwarded-Tls-Client-Cert', [leaf, ...chain].map((der) => percentEncode(base64(der))).join(',')],
    ],
    none: [missing],
    sendsChain: true,
  },
  envoy: {
    write: (leaf, chain) => [['x-forwarded-client-cert', xfccElement(leaf, chain)]],
    none: [missing],
    sendsChain: true,
  },
  'aws-alb': {
    write: (leaf, chain) => [['X-Amzn-Mtls-Clientcert', percentEncode([leaf, ...chain].map(pemOf).join(''), '+/=')]],
    none: [missing],
    sendsChain: true,
  },
  'aws-alb-verify': {
    write: one('X-Amzn-Mtls-Clientcert-Leaf', (leaf) => percentEncode(pemOf(leaf), '+/=')),
    none: [missing],
    sendsChain: false,
  },
  cloudfront: { write: one('CloudFront-Viewer-Cert-Pem', nginxPem), none: [missing], sendsChain: false },
  'google-cloud': {
    write: (leaf, chain) => [
      ['X-Client-Cert-Leaf', byteSequence(leaf)],
      ['X-Client-Cert-Chain', chain.map(byteSequence).join(', ')],
    ],
    none: [
      [
        ['X-Client-Cert-Leaf', ''],
        ['X-Client-Cert-Chain', ''],
      ],
      missing,
      [['X-Client-Cert-Leaf', '::']],
    ],
    sendsChain: true,
  },
  cloudflare: { write: one('Cf-Client-Cert-Der-Base64', base64), none: [missing], sendsChain: false },
  'azure-app-service': { write: one('X-ARR-ClientCert', base64), none: [missing], sendsChain: false },
  'azure-application-gateway': {
    write: one('X-Client-Certificate', nginxPem),
    none: [missing, empty('X-Client-Certificate')],
    sendsChain: false,
  },
  'azure-container-apps': {
    write: (leaf, chain) => [
      [
        'X-Forwarded-Client-Cert',
        `Hash=${hash('sha256', leaf, 'hex')};Cert="${envoyPem(pemOf(leaf))}";Chain="${envoyPem([leaf, ...chain].map(pemOf).join(''))}";`,
      ],
    ],
    none: [missing],
    sendsChain: true,
  },
  'azure-api-management': {
    write: one('X-Client-Cert', base64),
    none: [missing, empty('X-Client-Cert')],
    sendsChain: false,
  },
  'cloud-foundry': { write: one('X-Forwarded-Client-Cert', base64), none: [missing], sendsChain: false },
  openshift: {
    // Captured from HAProxy with the line of the router's template: {+Q}, and no quotes.
    write: one('X-SSL-Client-DER', base64),
    none: [missing, empty('X-SSL-Client-DER')],
    sendsChain: false,
  },
  kong: { write: one('X-Client-Cert', nginxPem), none: [missing], sendsChain: false },
}
