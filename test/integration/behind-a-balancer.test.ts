/**
 * Behind a load balancer: what the operator's line says where something is missing (the numbers are those of the list of broken set-ups), and
 * what caches are told (RFC 9440 §2.4).
 */
import http from 'node:http'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { ClientCertOptions } from '../../src/express.js'
import {
  type AuthenticatorOptions,
  createAuthenticator,
  type ForwardedHeaderOptions,
  forwardedHeader,
  type PresetName,
  proxyAddress,
  tlsSocket,
  unixSocket,
} from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { get, getPlain, raw } from '../support/clients.js'
import { type Fields, products } from '../support/products.js'
import { bare, frameworks, listen, serveHttp, serveHttps } from '../support/servers.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
})

function make(forwarding: Partial<ForwardedHeaderOptions>, options: Partial<AuthenticatorOptions> = {}) {
  const lines: string[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    intermediates: pki.intermediate.certificate.pem,
    revocation: 'none',
    source: forwardedHeader({ from: proxyAddress('127.0.0.1'), ...forwarding }),
    log: (line) => lines.push(line.replace(/^mtls-identity /, '')),
    ...options,
  })
  return { auth, lines }
}
const own = (preset: PresetName): Fields => products[preset].write(alice.certificate.der, [])

describe('what the line says', () => {
  test('7: a CORS preflight that a proxy passed on', async () => {
    const { auth, lines } = make({ preset: 'nginx' })
    const headers = { Origin: 'https://app.example', 'Access-Control-Request-Method': 'PUT' }
    expect((await getPlain(await serveHttp(bare(auth)), { method: 'OPTIONS', headers })).status).toBe(401)
    expect(lines[0]).toBe(
      'ERR_CLIENT_CERT_ABSENT: on a CORS preflight (Origin "https://app.example"), for which browsers send no certificate — mount cors() before clientCert(), or preflight: \'answer\'; a proxy with verify "on" must be "optional"',
    )
  })

  test.each<[string, PresetName, string]>([
    ['AWS', 'aws-alb', "'aws-alb'"],
    ['nginx, or another that calls it so', 'nginx', "'nginx' or 'haproxy' or 'apache'"],
    ['one of three that say X-Forwarded-Client-Cert', 'envoy', "'envoy' or 'azure-container-apps' or 'cloud-foundry'"],
  ])('32: the application reads the socket, and a proxy has sent the header: %s', async (_, preset, named) => {
    const { auth, lines } = make({ preset }, { source: tlsSocket() })
    const [name = '', value = ''] = own(preset)[0] ?? []
    const call = { headers: { [name]: value } }
    const answers = [
      await getPlain(await serveHttp(bare(auth)), call),
      await get(await serveHttps(auth, bare(auth)), undefined, call),
    ]
    expect(answers.map(({ status }) => status)).toEqual([401, 401])
    const line = `ERR_CLIENT_CERT_ABSENT: on the socket, but 127.0.0.1 sent ${name} — source: forwardedHeader({ preset: ${named}, from: proxyAddress('127.0.0.1') }), if that is your proxy`
    expect(lines).toEqual([line, line])
  })

  test('33: the proxy sets the header on other paths', async () => {
    const { auth, lines } = make({ preset: 'nginx' })
    const port = await serveHttp(bare(auth))
    const said = (elsewhere: string) =>
      `ERR_CLIENT_CERT_ABSENT: the trusted proxy 127.0.0.1 sent no x-ssl-client-cert on "/v2"${elsewhere} — the client sent it no certificate, or the proxy does not set the header on this path: repeat proxy_set_header in a location that has any of its own; ingress-nginx: auth-tls-secret and auth-tls-pass-certificate-to-upstream`
    await getPlain(port, { path: '/v2?q=1' })
    expect(lines.pop()).toBe(said(''))
    expect((await getPlain(port, { headers: Object.fromEntries(own('nginx')) })).status).toBe(200)
    await getPlain(port, { path: '/v2?q=1' })
    expect(lines.pop()).toBe(said(' (it did on other requests)'))
  })

  test('34: the gate does not hold the real peer, and is told of Istio and of Unix sockets', () => {
    const source = forwardedHeader({ preset: 'envoy', from: proxyAddress('10.0.0.0/16') })
    const help = (peer: string | undefined) => {
      try {
        source.refuseFields({ rawHeaders: ['X-Forwarded-Client-Cert', 'x'], socket: { remoteAddress: peer } } as never)
      } catch (error) {
        return (error as { help: string }).help
      }
      throw new Error('it was not refused')
    }
    expect(help('127.0.0.6')).toBe(
      "header x-forwarded-client-cert from 127.0.0.6, not in proxyAddress('10.0.0.0/16') (127.0.0.6 is Istio's sidecar) — add it if that is your proxy, or use unixSocket(); if not, somebody reaches this port directly",
    )
    expect(help('10.1.0.1')).not.toContain('Istio')
    expect(help(undefined)).toBe(
      "header x-forwarded-client-cert from a peer without an address, not in proxyAddress('10.0.0.0/16') — unixSocket() if your proxy comes through a Unix socket",
    )
  })

  const wrongPresets: [configured: PresetName, sends: PresetName, said: string][] = [
    [
      'envoy',
      'cloud-foundry',
      `wants Key=Value pairs; the value starts "MII": bare base64 — is this Cloud Foundry? preset: 'cloud-foundry'`,
    ],
    ['cloud-foundry', 'envoy', "the value is Key=Value: is this Envoy? preset: 'envoy'"],
    ['cloud-foundry', 'azure-container-apps', "the value is Key=Value: is this Envoy? preset: 'envoy'"],
    ['nginx', 'aws-alb', "is this an AWS load balancer? preset: 'aws-alb'"],
    ['aws-alb', 'nginx', 'is percent-encoded PEM'],
    ['nginx', 'haproxy', 'starts "MII": bare base64'],
    ['haproxy', 'nginx', "is percent-encoded PEM: preset: 'nginx'"],
    ['nginx', 'apache', "is PEM with spaces: is this Apache? preset: 'apache'"],
    ['haproxy', 'rfc9440', "is in colons: RFC 9440, preset: 'rfc9440'"],
    ['traefik', 'nginx', 'is percent-encoded PEM'],
    ['nginx', 'traefik', 'is bare base64'],
    ['traefik-2.9.1', 'traefik', "Traefik 2.9.2 or later, preset: 'traefik'"],
  ]
  test.each(wrongPresets)('35: preset %s, and the value of %s', async (configured, sends, said) => {
    const { auth, lines } = make({ preset: configured, headers: { certificate: 'X-Same' } })
    const value = products[sends].write(alice.certificate.der, [pki.intermediate.certificate.der])[0]?.[1] as string
    expect(
      (
        await raw(
          await serveHttp(bare(auth)),
          [`GET / HTTP/1.1`, 'Host: a', `X-Same: ${value}`, 'Connection: close', '', ''].join('\r\n') as never,
        )
      ).status,
    ).toBe(400)
    expect(lines[0]).toContain(`ERR_CLIENT_CERT_HEADER_MALFORMED: x-same: preset '${configured}'`)
    expect(lines[0]).toContain(said)
  })

  test('37: Istio’s element has no certificate, or is the gateway’s own', async () => {
    const { auth, lines } = make({ preset: 'envoy' })
    const [, element = ''] = own('envoy')[0] ?? []
    const value = `${element},By=spiffe://cluster.local/ns/a/sa/ingressgateway;Hash=00;Subject="";URI=spiffe://cluster.local/ns/b`
    expect(
      (await getPlain(await serveHttp(bare(auth)), { headers: { 'X-Forwarded-Client-Cert': value } })).status,
    ).toBe(400)
    expect(lines[0]).toBe(
      "ERR_CLIENT_CERT_HEADER_MALFORMED: x-forwarded-client-cert: preset 'envoy' XFCC element 2 of 2 (By=spiffe://cluster.local/ns/a/sa/ingressgateway) has no Cert= — set_current_client_cert_details: { cert: true }; for the outer client trustedHops: 1",
    )
  })

  test.each<[PresetName, string, string]>([
    ['azure-app-service', 'x-arr-clientcert', 'App Service: clientCertEnabled and clientCertExclusionPaths'],
    ['azure-api-management', 'x-client-cert', 'APIM: Negotiate client certificate on the custom domain'],
  ])('38: %s sends no certificate', async (preset, header, where) => {
    const { auth, lines } = make({ preset })
    await getPlain(await serveHttp(bare(auth)), { path: '/hook' })
    expect(lines[0]).toContain(`sent no ${header} on "/hook"`)
    expect(lines[0]).toContain(where)
  })

  test('39: a verdict without a certificate; and placeholders, which are none', async () => {
    const { auth, lines } = make({ preset: 'haproxy', headers: { status: 'X-SSL-Client-Verify' } })
    const headers = { 'X-SSL-Client-Cert': '', 'X-SSL-Client-Verify': '0' }
    expect((await getPlain(await serveHttp(bare(auth)), { headers })).status).toBe(400)
    expect(lines[0]).toBe(
      "ERR_CLIENT_CERT_HEADER_MALFORMED: x-ssl-client-cert: preset 'haproxy' is empty where x-ssl-client-verify says 0 — a certificate over HAProxy's 16 KiB is blanked: tune.bufsize 65536; or the verdict is set without { ssl_c_used }",
    )
    for (const [preset, header, value] of [
      ['apache', 'X-SSL-Client-Cert', '(null)'],
      ['caddy', 'X-Client-Cert', '{http.request.tls.client.certificate_der_base64}'],
    ] as const) {
      const placeholder = make({ preset })
      expect((await getPlain(await serveHttp(bare(placeholder.auth)), { headers: { [header]: value } })).status).toBe(
        401,
      )
      expect(placeholder.lines[0]).toContain('the client sent it no certificate')
    }
  })

  test('40: a server that cannot take the chain its proxy may send is warned about, once', async () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockReturnValue(undefined as never)
    const warnings = () =>
      emitWarning.mock.calls.filter(([, options]) => (options as { code?: string })?.code === 'MTLS_HEADER_SIZE')
    const ask = async (preset: PresetName, maxHeaderSize?: number) => {
      emitWarning.mockClear()
      const { auth } = make({ preset })
      const port = await serveHttp(bare(auth), undefined, maxHeaderSize === undefined ? {} : { maxHeaderSize })
      await getPlain(port)
      await getPlain(port)
      return warnings().length
    }
    expect(await ask('rfc9440')).toBe(0)
    expect(await ask('rfc9440', 8_192)).toBe(1)
    expect(String(warnings()[0]?.[0])).toMatch(
      /octets of headers .* the server takes 8192 — http\.createServer\(\{ maxHeaderSize: 65536 \}\)/,
    )
    expect(await ask('nginx', 8_192)).toBe(0)
    expect(await ask('nginx', 4_096)).toBe(1)
    expect(await ask('aws-alb')).toBe(0)
    expect(await ask('aws-alb', 12_288)).toBe(1)
    emitWarning.mockRestore()
  })
})

describe('H-15: trailers', () => {
  test('a certificate in a trailer is no header, whatever Trailer announces', async () => {
    const [name, value] = own('nginx')[0] as [string, string]
    const port = await listen(
      http.createServer((request, response) => {
        request.resume().on('end', async () => {
          const decision = await make({ preset: 'nginx' }).auth.authenticate(request)
          response.end(JSON.stringify([decision.outcome, Object.keys(request.trailers)]))
        })
      }),
    )
    const trailer = [
      'POST / HTTP/1.1',
      'Host: a',
      `Trailer: ${name}`,
      'Transfer-Encoding: chunked',
      'Connection: close',
      '',
      '0',
      `${name}: ${value}`,
      '',
      '',
    ]
    const { body } = await raw(port, trailer.join('\r\n') as never)
    expect(body).toContain('["absent",["x-ssl-client-cert"]]')
  })
})

describe('RFC 9440 §2.4: what caches are told', () => {
  const cacheOf = ({ headers }: { headers: Record<string, unknown> }) => [headers['cache-control'], headers.vary]

  for (const framework of frameworks) {
    describe(framework.name, () => {
      const serve = (options: Partial<ClientCertOptions> = {}, plan: object = {}) =>
        serveHttp(
          framework.listener({
            mounts: [{ authenticator: make({ preset: 'nginx' }).auth, ...options } as never],
            ...plan,
          }),
        )
      const headers = () => Object.fromEntries(own('nginx'))

      test('no-store on answers and on refusals, by default', async () => {
        const port = await serve()
        expect(cacheOf(await getPlain(port, { headers: headers() }))).toEqual(['no-store', undefined])
        expect(cacheOf(await getPlain(port))).toEqual(['no-store', undefined])
        expect(cacheOf(await getPlain(port, { headers: { 'X-SSL-Client-Cert': 'x' } }))).toEqual([
          'no-store',
          undefined,
        ])
      })

      test('of guards too, and where an identity is optional', async () => {
        const port = await serve({ mode: 'optional' }, { guards: [[]] })
        const { status, headers } = await getPlain(port)
        expect([status, headers['cache-control']]).toEqual([401, 'no-store'])
        expect(headers['www-authenticate']).toBe('ClientCertificate')
      })

      test('vary names the fields; a refusal is not to be stored all the same', async () => {
        const port = await serve({ caching: 'vary' })
        expect(cacheOf(await getPlain(port, { headers: headers() }))).toEqual([undefined, 'x-ssl-client-cert'])
        expect(cacheOf(await getPlain(port))).toEqual(['no-store', 'x-ssl-client-cert'])
      })

      test('nothing where the application sees to it, nothing on what was skipped, nothing for direct TLS', async () => {
        expect(cacheOf(await getPlain(await serve({ caching: 'application' }), { headers: headers() }))).toEqual([
          undefined,
          undefined,
        ])
        expect(cacheOf(await getPlain(await serve({ skip: () => true })))).toEqual([undefined, undefined])
        const direct = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
        const port = await serveHttps(direct, framework.listener({ mounts: [{ authenticator: direct }] }))
        expect(cacheOf(await get(port, alice))).toEqual([undefined, undefined])
      })
    })
  }

  test('Vary that is there already stays', async () => {
    const { createMount } = await import('../../src/core/mount.js')
    const varied = async (before: string | string[] | undefined) => {
      const set: string[] = []
      const mount = createMount({ authenticator: make({ preset: 'rfc9440' }).auth, caching: 'vary', mode: 'optional' })
      const response = { getHeader: () => before, setHeader: (_name: string, value: string) => set.push(value) }
      await mount({ rawHeaders: [], headers: {}, socket: { remoteAddress: '127.0.0.1' } } as never, response)
      return set
    }
    expect(await varied(undefined)).toEqual(['client-cert, client-cert-chain'])
    expect(await varied('Origin')).toEqual(['Origin, client-cert, client-cert-chain'])
    expect(await varied('*')).toEqual(['*'])
    expect(await varied('Client-Cert, Client-Cert-Chain')).toEqual(['Client-Cert, Client-Cert-Chain'])
  })

  test('an answer that has begun is left alone', async () => {
    const { createMount } = await import('../../src/core/mount.js')
    const mount = createMount({ authenticator: make({ preset: 'nginx' }).auth, mode: 'optional' })
    const response = {
      headersSent: true,
      getHeader: () => undefined,
      setHeader: () => {
        throw new Error('too late')
      },
    }
    expect(
      await mount({ rawHeaders: [], headers: {}, socket: { remoteAddress: '127.0.0.1' } } as never, response),
    ).toBeUndefined()
  })

  test('caching is refused where it is none of the three', () => {
    const { auth } = make({ preset: 'nginx' })
    const mount = (caching: unknown) => () =>
      frameworks[0]?.listener({ mounts: [{ authenticator: auth, caching } as never] })
    expect(mount('nostore')).toThrow('Did you mean "no-store"?')
    expect(mount(false)).toThrow('unknown caching false')
  })
})

test('a Unix socket has a name in the line', async () => {
  const { auth, lines } = make({ preset: 'nginx', from: unixSocket() })
  await getPlain(await serveHttp(bare(auth)))
  expect(lines[0]).toContain('and is not in unixSocket(), who alone may')
})
