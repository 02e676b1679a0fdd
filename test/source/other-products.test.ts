/** Products without a preset of their own, or with a header of their operator's: read by the preset of whoever writes the same, and by no other. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type ForwardedHeaderOptions, forwardedHeader, type PresetName, proxyAddress } from '../../src/index.js'
import { createTestPki, type TestPki } from '../../src/testing.js'
import { byteSequence, type Fields, pemOf, percentEncode } from '../support/products.js'
import { readNow, requestWith, thrownBy } from './request.js'

let pki: TestPki
let leaves: readonly Uint8Array[]
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  const keys = ['P-256', 'P-521', 'RSA-2048', 'Ed25519'] as const
  leaves = (await Promise.all(keys.map((keyAlgorithm) => pki.issue({ keyAlgorithm })))).map(
    (each) => each.certificate.der,
  )
})

const base64 = (der: Uint8Array) => Buffer.from(der).toString('base64')

interface Product {
  readonly name: string
  readonly options: Omit<ForwardedHeaderOptions, 'from'>
  readonly write: (leaf: Uint8Array, chain: readonly Uint8Array[]) => Fields
  readonly sendsChain?: true
  /** A preset that reads another way of writing the same. */
  readonly notBy: PresetName
}

const certificate = (name: string) => ({ headers: { certificate: name } })

const others: readonly Product[] = [
  {
    // rootfs/etc/nginx/template/nginx.tmpl: proxy_set_header ssl-client-cert $ssl_client_escaped_cert.
    name: 'ingress-nginx, auth-tls-pass-certificate-to-upstream',
    options: { preset: 'nginx', headers: { certificate: 'ssl-client-cert', status: 'ssl-client-verify' } },
    write: (leaf) => [
      ['ssl-client-verify', 'SUCCESS'],
      ['ssl-client-cert', percentEncode(pemOf(leaf))],
    ],
    notBy: 'aws-alb-verify',
  },
  {
    // source/common/tls/connection_info_impl_base.cc: the PEM with `\n`, space, `+`, `/` and `=` escaped, later by PercentEncoding::urlEncode().
    name: 'Envoy and Istio, %DOWNSTREAM_PEER_CERT% in a header',
    options: { preset: 'nginx', ...certificate('x-client-certificate') },
    write: (leaf) => [
      ['x-client-certificate', pemOf(leaf).replace(/[\n +/=]/g, (character) => encodeURIComponent(character))],
    ],
    notBy: 'envoy',
  },
  {
    // contrib/client_cert: RFC 9440, and the chain only with set_client_cert_chain.
    name: 'Envoy, filter client_cert',
    options: { preset: 'rfc9440' },
    write: (leaf, chain) => [
      ['client-cert', byteSequence(leaf)],
      ['client-cert-chain', chain.map(byteSequence).join(', ')],
    ],
    sendsChain: true,
    notBy: 'haproxy',
  },
  {
    // rootfs/etc/templates/haproxy/haproxy.tmpl: X-SSL-Client-Cert %{+Q}[ssl_c_der,base64], which HAProxy does not put in quotes.
    name: 'haproxy-ingress, auth-tls-cert-header',
    options: { preset: 'haproxy' },
    write: (leaf) => [['x-ssl-client-cert', base64(leaf)]],
    notBy: 'apache',
  },
  {
    // jobs/haproxy/templates/haproxy.config.erb: X-Forwarded-Client-Cert %[ssl_c_der,base64].
    name: 'haproxy-boshrelease in front of Cloud Foundry',
    options: { preset: 'cloud-foundry' },
    write: (leaf) => [['x-forwarded-client-cert', base64(leaf)]],
    notBy: 'envoy',
  },
  {
    // Route, spec.httpHeaders.actions, "Set X-Forwarded-Client-Cert" in the documentation.
    name: 'OpenShift, a header action of a route',
    options: { preset: 'openshift', ...certificate('X-Forwarded-Client-Cert') },
    write: (leaf) => [['x-forwarded-client-cert', base64(leaf)]],
    notBy: 'azure-container-apps',
  },
  {
    // iRule: HTTP::header replace X-Client-Cert [b64encode [SSL::cert 0]].
    name: 'F5 BIG-IP, b64encode of the certificate',
    options: { preset: 'haproxy', ...certificate('X-Client-Cert') },
    write: (leaf) => [['X-Client-Cert', base64(leaf)]],
    notBy: 'kong',
  },
]

describe.each(others)('$name', ({ options, write, sendsChain, notBy }) => {
  const from = proxyAddress('10.0.3.7')

  test('is read, for every kind of key', () => {
    const chain = [pki.intermediate.certificate.der, pki.root.certificate.der]
    for (const leaf of leaves) {
      const { presented } = readNow(forwardedHeader({ ...options, from }), requestWith(write(leaf, chain)))
      expect(presented?.certificate).toEqual(leaf)
      expect(presented?.intermediates).toEqual(sendsChain ? chain : [])
    }
  })

  test(`is malformed for preset ${notBy}`, () => {
    const [leaf] = leaves as [Uint8Array]
    const fields = write(leaf, [])
    const [field] = fields.find(([, value]) => value.length > 100) as [string, string]
    const source = forwardedHeader({ preset: notBy, from, headers: { certificate: field } })
    expect(thrownBy(() => readNow(source, requestWith(fields))).code).toBe('ERR_CLIENT_CERT_HEADER_MALFORMED')
  })
})
