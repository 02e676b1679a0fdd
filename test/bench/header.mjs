// Forwarded certificates: the targets of T6 and T14.
import { X509Certificate } from 'node:crypto'
import { createAuthenticator, forwardedHeader, proxyAddress } from 'mtls-identity'
import { createTestPki } from 'mtls-identity/testing'
import { HeaderMemory } from '../../dist/esm/source/header-memory.js'
import { Certificate } from '../../dist/esm/x509/certificate.js'
import { createChain } from './fixtures.mjs'
import { throughput } from './throughput.mjs'

const certificates = 1_000
const peerAddress = '10.0.3.7'
const from = proxyAddress(peerAddress)

const toPem = (der) => new X509Certificate(der).toString()
const base64 = (der) => Buffer.from(der).toString('base64')
const byteSequence = (der) => `:${base64(der)}:`
const escaped = (der) => encodeURIComponent(toPem(der))
const escapedByEnvoy = (text) => text.replace(/[\n +/=]/g, encodeURIComponent)
const sha256 = (der) => new X509Certificate(der).fingerprint256.replaceAll(':', '').toLowerCase()
const xfcc = (leaf, issuer) =>
  `By=spiffe://acme.example/gw;Hash=${sha256(leaf)};Cert="${escapedByEnvoy(toPem(leaf))}";Chain="${escapedByEnvoy(toPem(leaf) + toPem(issuer))}";URI=spiffe://acme.example/x`

const formats = [
  { preset: 'nginx', field: 'X-SSL-Client-Cert', write: escaped },
  { preset: 'rfc9440', field: 'Client-Cert', write: byteSequence },
  { preset: 'haproxy', field: 'X-SSL-Client-Cert', write: base64 },
  { preset: 'envoy', field: 'X-Forwarded-Client-Cert', write: xfcc },
]

let made
const chain = () => {
  made ??= createChain('RSA-2048', certificates)
  return made
}

/** A string as the HTTP parser makes one for each request: new, and never hashed. */
const fresh = (values) => {
  const buffers = values.map((value) => Buffer.from(value, 'latin1'))
  let next = 0
  return () => {
    next = (next + 1) % buffers.length
    return buffers[next].latin1Slice()
  }
}

/** What a request has beside the certificate, as a browser behind a proxy sends it. */
const others = [
  ['Host', 'api.acme.example'],
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'],
  ['Accept', 'application/json'],
  ['Accept-Encoding', 'gzip, deflate, br'],
  ['Accept-Language', 'de-DE,de;q=0.9'],
  ['Cache-Control', 'no-cache'],
  ['Connection', 'keep-alive'],
  ['Content-Type', 'application/json'],
  ['X-Forwarded-For', '203.0.113.9'],
  ['X-Forwarded-Proto', 'https'],
  ['X-Request-Id', 'c0ffee00-0000-4000-8000-000000000000'],
]

const requestOf = (field, value) => ({
  rawHeaders: [...others, [field, value]].flat(),
  headers: {},
  socket: { remoteAddress: peerAddress },
  method: 'GET',
  url: '/',
})

async function repeated() {
  const { leaves, intermediate } = await chain()
  return formats.map(({ preset, write }) => {
    const values = leaves.map((leaf) => write(leaf, intermediate))
    const memory = new HeaderMemory(64 * 1024 * 1024)
    for (const value of values) memory.remember(value, [], { value }, 1_024)
    const map = new Map(values.map((value) => [value, { value }]))
    const [forUs, forMap] = [fresh(values), fresh(values)]
    return {
      name: `${preset}, ${values[0].length} characters`,
      ours: () => memory.find(forUs(), []),
      floor: () => map.get(forMap()),
      atMost: 0.25,
    }
  })
}

async function wholeRequest() {
  const { leaves, intermediate, rootPem } = await chain()
  const rows = []
  for (const { preset, field, write } of formats.slice(0, 2)) {
    const values = leaves.map((leaf) => write(leaf, intermediate))
    const authenticator = createAuthenticator({
      trust: rootPem,
      intermediates: toPem(intermediate),
      revocation: 'none',
      log: false,
      source: forwardedHeader({ preset, from }),
    })
    for (const value of values) {
      const decision = await authenticator.authenticate(requestOf(field, value))
      if (decision.outcome !== 'accepted') throw decision.error
    }
    const next = fresh(values)
    const request = requestOf(field, '')
    const at = request.rawHeaders.length - 1
    const decode = fresh(values)
    rows.push({
      name: `${preset}: authenticate(), gate and fields included`,
      ours: () => {
        request.rawHeaders[at] = next()
        return authenticator.authenticate(request)
      },
      floor: async () =>
        new X509Certificate(
          preset === 'nginx' ? decodeURIComponent(decode()) : Buffer.from(decode().slice(1, -1), 'base64'),
        ),
      peers: await clientCertificateAuth(preset, field, values),
      note: 'floor: X509Certificate on every request',
    })
  }
  return rows
}

/** Not one of our development dependencies: compared where somebody has installed it. */
async function clientCertificateAuth(preset, field, values) {
  const found = await import('client-certificate-auth').catch(() => undefined)
  if (found === undefined || preset !== 'nginx') return {}
  const middleware = found.default(() => true, { certificateHeader: field.toLowerCase(), headerEncoding: 'url-pem' })
  const next = fresh(values)
  return {
    'client-certificate-auth': () =>
      new Promise((resolve) =>
        middleware({ headers: { [field.toLowerCase()]: next() }, secure: true, socket: {} }, {}, resolve),
      ),
  }
}

async function decodedAndParsed() {
  const { leaves, intermediate } = await chain()
  return formats.map(({ preset, field, write }) => {
    const values = leaves.map((leaf) => write(leaf, intermediate))
    const memory = new HeaderMemory(64 * 1024 * 1024)
    for (const value of values) memory.remember(value, [], { value }, 1_024)
    const source = forwardedHeader({ preset, from })
    const request = requestOf(field, '')
    const at = request.rawHeaders.length - 1
    const [forUs, cold] = [fresh(values), fresh(values)]
    return {
      name: preset,
      ours: () => memory.find(forUs(), []),
      floor: () => {
        request.rawHeaders[at] = cold()
        const { presented } = source.read(request, 0)
        return [presented.certificate, ...presented.intermediates].map((der) => new X509Certificate(der).subject)
      },
      atMost: 0.02,
      note: 'floor: our decoder and X509Certificate',
    }
  })
}

/** The most expensive texts of 16 KiB we know, against a certificate that just fits, read for the first time. */
async function adversarial() {
  const pki = await createTestPki({ name: 'Lab' })
  const names = (count) => Array.from({ length: count }, (_, i) => `name-${i}.some-department.acme.example`)
  const { certificate } = await pki.issue({ names: { dns: names(210) } })
  const size = 16_384
  const fill = (text) => text.repeat(Math.ceil(size / text.length)).slice(0, size)
  const body = base64(Buffer.alloc(11_000, 0xfb))
  const lines = (text) => text.replace(/.{64}/g, '$&%0A')
  const prefix = '-----BEGIN%20CERTIFICATE-----%0A'
  const junk = {
    nginx: [
      fill('%41'),
      `${prefix}${fill('%2B')}`,
      `${prefix}${lines(body).replaceAll('+', '%2B').replaceAll('/', '%2F')}`.slice(0, size),
    ],
    rfc9440: [fill(':'), `:${body}:`, `:MIIB:${fill(';a=b')}`],
    traefik: [fill('MIIB,'), fill('M,')],
    haproxy: [body],
    apache: [fill('-----BEGIN CERTIFICATE----- ')],
    'aws-alb': [`${prefix}${fill('+/')}`, fill(`${prefix}MIIB%0A-----END%20CERTIFICATE-----%0A`)],
    envoy: [fill('a=b;'), fill('a=b,'), `By="${fill('\\"')}`, `a=${fill('"')}`],
  }
  const validOf = {
    nginx: escaped(certificate.der),
    rfc9440: byteSequence(certificate.der),
    traefik: base64(certificate.der),
    haproxy: base64(certificate.der),
    apache: toPem(certificate.der).trimEnd().replaceAll('\n', ' '),
    'aws-alb': toPem(certificate.der).replaceAll('\n', '%0A').replaceAll(' ', '%20'),
    envoy: `Hash=${sha256(certificate.der)};Cert="${escapedByEnvoy(toPem(certificate.der))}"`,
  }
  const fieldOf = {
    nginx: 'X-SSL-Client-Cert',
    rfc9440: 'Client-Cert',
    traefik: 'X-Forwarded-Tls-Client-Cert',
    haproxy: 'X-SSL-Client-Cert',
    apache: 'X-SSL-Client-Cert',
    'aws-alb': 'X-Amzn-Mtls-Clientcert',
    envoy: 'X-Forwarded-Client-Cert',
  }
  return Object.entries(junk).flatMap(([preset, texts]) => {
    const source = forwardedHeader({ preset, from })
    const read = (value) => () => {
      const { presented } = source.read(requestOf(fieldOf[preset], value), 0)
      return Certificate.parse(presented.certificate, 0).extensions
    }
    const refused = (value) => {
      const call = read(value)
      return () => {
        try {
          call()
        } catch (error) {
          return error
        }
        throw new Error(`${preset} read ${value.slice(0, 40)}`)
      }
    }
    const valid = read(validOf[preset])
    return texts.map((text) => ({
      name: `${preset}: ${text.slice(0, 24)}… (${text.length})`,
      ours: refused(text),
      floor: valid,
      atMost: 2,
      note: `floor: ${validOf[preset].length} characters, decoded and parsed`,
    }))
  })
}

async function overLimit() {
  const source = forwardedHeader({ preset: 'nginx', from })
  const request = requestOf('X-SSL-Client-Cert', '%2B'.repeat(30_000))
  const ours = () => {
    try {
      source.read(request, 0)
    } catch (error) {
      return error
    }
  }
  return [{ name: 'nginx: 90,000 characters', ours, note: 'target ≤ 5 µs' }]
}

export const tables = [
  { title: `a repeated header, ${certificates} certificates in memory; floor: Map.get(header)`, rows: repeated },
  { title: 'a repeated header against decoding and parsing', rows: decodedAndParsed },
  { title: 'a whole request with a repeated header', rows: wholeRequest },
  { title: 'adversarial headers of 16 KiB', rows: adversarial },
  { title: 'a header over the limit', rows: overLimit },
  { title: 'Express 5, 200 clients behind nginx', run: throughput },
]
