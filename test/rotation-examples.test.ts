/** examples/rotation against servers that speak the products' documented HTTP APIs: start, rotate, go on. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type tls from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createTestPki, type TestCredential, type TestPki } from '../src/testing.js'
import { builtPackage } from './support/built-package.js'
import { requireTool } from './support/clients.js'
import { freePort } from './support/free-port.js'

jest.setTimeout(60_000)

let folder: string
let old: TestPki
let young: TestPki
let alice: TestCredential
let bob: TestCredential
let servers: TestPki

beforeAll(async () => {
  folder = builtPackage()
  old = await createTestPki({ name: 'Old' })
  young = await createTestPki({ name: 'Young' })
  servers = await createTestPki({ name: 'Servers' })
  const svid = (name: string) => ({ subject: `CN=${name}`, names: { uri: [`spiffe://acme.example/${name}`] } })
  alice = await old.issue(svid('alice'))
  bob = await young.issue(svid('bob'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const running: ChildProcess[] = []
const listening: http.Server[] = []
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  for (const server of listening.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

type Handler = (request: { method: string; url: URL; headers: http.IncomingHttpHeaders; body: string }) => {
  status?: number
  type?: string
  body: string
}

/** A service on loopback; resolves to its address. */
async function service(handler: Handler): Promise<string> {
  const server = http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method = '', url = '', headers } = request
    const answer = handler({ method, url: new URL(url, 'http://localhost'), headers, body })
    response.writeHead(answer.status ?? 200, { 'Content-Type': answer.type ?? 'application/json' }).end(answer.body)
  })
  server.listen(0, '127.0.0.1')
  listening.push(server)
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function start(example: string, args: string[], settings: Record<string, string> = {}) {
  const port = await freePort()
  const env = { ...process.env, PORT: String(port), REFRESH: '1000', ...settings }
  const child = spawn(process.execPath, [join('examples/rotation', example), ...args], { cwd: folder, env })
  running.push(child)
  const said = { text: '' }
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      said.text += text
    })
  }
  const exited = once(child, 'exit').then(() => {
    throw new Error(`${example} ended: ${said.text}`)
  })
  exited.catch(() => {})
  await Promise.race([exited, until(async () => / listens on /.test(said.text))])
  return { port, said }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('nothing changed within 20 s')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** What a client gets: its own subject, or the status; and the serial number of the server's certificate. */
function ask(port: number, client: TestCredential): Promise<{ who: string; serial: string }> {
  return new Promise((resolve, reject) => {
    https
      .get({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false, ...client.tls }, async (response) => {
        const serial = (response.socket as tls.TLSSocket).getPeerCertificate().serialNumber
        const body = (await response.setEncoding('utf8').toArray()).join('')
        resolve({ who: response.statusCode === 200 ? JSON.parse(body).subject : `${response.statusCode}`, serial })
      })
      .on('error', reject)
  })
}

const who = async (port: number, client: TestCredential) => (await ask(port, client)).who

/** Alice of the old CA is known, Bob of the new one is not; after `rotate`, it is the other way round. */
async function rotates(port: number, rotate: () => void) {
  expect([await who(port, alice), await who(port, bob)]).toEqual(['CN=alice', '403'])
  rotate()
  await until(async () => (await who(port, bob)) === 'CN=bob')
  expect(await who(port, alice)).toBe('403')
}

async function rotatesServer(port: number, next: TestCredential, rotate: () => void) {
  expect((await ask(port, alice)).serial).not.toBe(next.serialNumber)
  rotate()
  await until(async () => (await ask(port, alice)).serial === next.serialNumber)
}

const json = (value: unknown) => ({ body: JSON.stringify(value) })
const refused = (status: number) => ({ status, body: '{"error":{"code":"Unauthorized"}}' })

describe('cert-manager.mjs', () => {
  test('follows the secret when the kubelet flips ..data, key, certificate and CA at once', async () => {
    const [first, second] = [await servers.server(), await servers.server()]
    const mount = join(folder, 'mount')
    for (const [version, server, pki] of [
      ['..v1', first, old],
      ['..v2', second, young],
    ] as const) {
      mkdirSync(join(mount, version), { recursive: true })
      writeFileSync(join(mount, version, 'tls.key'), server.tls.key, { mode: 0o400 })
      writeFileSync(join(mount, version, 'tls.crt'), server.tls.cert)
      writeFileSync(join(mount, version, 'ca.crt'), pki.trust)
    }
    symlinkSync('..v1', join(mount, '..data'))
    for (const name of ['tls.key', 'tls.crt', 'ca.crt']) symlinkSync(`..data/${name}`, join(mount, name))
    const { port, said } = await start('cert-manager.mjs', [mount])
    await rotates(port, () => {
      symlinkSync('..v2', join(mount, '..data_tmp'))
      renameSync(join(mount, '..data_tmp'), join(mount, '..data'))
    })
    await until(async () => (await ask(port, bob)).serial === second.serialNumber)
    expect(said.text).not.toMatch(/MTLS_(RELOAD|SERVER|KEY)/)
  })
})

describe('vault-pki.mjs', () => {
  test('trusts every issuer of a mount, and has its own certificate issued anew', async () => {
    const issuers = new Map([['one', old.root.certificate.pem]])
    const [first, second] = [await servers.server(), await servers.server()]
    let issued = first
    let isDown = false
    const asked: string[] = []
    const address = await service(({ method, url, headers, body }) => {
      asked.push(`${method} ${url.pathname}`)
      if (isDown) return { status: 503, body: '{"errors":["Vault is sealed"]}' }
      if (method === 'GET' && url.pathname === '/v1/clients/issuers' && url.searchParams.get('list') === 'true') {
        return json({ data: { keys: [...issuers.keys()], key_info: {} } })
      }
      const issuer = /^\/v1\/clients\/issuer\/(\w+)\/pem$/.exec(url.pathname)?.[1]
      if (method === 'GET' && issuer !== undefined && issuers.has(issuer)) {
        return { type: 'application/x-pem-file', body: issuers.get(issuer) as string }
      }
      if (method === 'POST' && url.pathname === '/v1/servers/issue/api') {
        if (headers['x-vault-token'] !== 'hvs.token') return { status: 403, body: '{"errors":["permission denied"]}' }
        if (JSON.parse(body).common_name !== 'api.internal') return { status: 400, body: '{"errors":["common_name"]}' }
        const { certificate, chain, tls } = issued
        const data = {
          certificate: certificate.pem,
          issuing_ca: chain[0]?.pem,
          ca_chain: chain.map(({ pem }) => pem),
          private_key: tls.key,
        }
        return json({ lease_id: '', renewable: false, lease_duration: 0, data })
      }
      return { status: 404, body: '{"errors":[]}' }
    })
    const settings = { VAULT_ADDR: address, VAULT_TOKEN: 'hvs.token', COMMON_NAME: 'api.internal', RENEW: '1000' }
    const mounts = { CLIENT_MOUNT: 'clients', SERVER_MOUNT: 'servers', SERVER_ROLE: 'api' }
    const { port, said } = await start('vault-pki.mjs', [], { ...settings, ...mounts })
    await rotatesServer(port, second, () => {
      issued = second
    })
    // Sealed for a while: nothing changes, and it is said.
    isDown = true
    await until(async () => /MTLS_RELOAD_FAILED.*answered 503.*the former certificates hold/.test(said.text))
    expect(await who(port, alice)).toBe('CN=alice')
    isDown = false
    await rotates(port, () => {
      issuers.set('two', young.root.certificate.pem)
      issuers.delete('one')
    })
    expect(said.text).not.toContain('hvs.token')
  })
})

describe('spiffe-bundle.mjs', () => {
  const jwk = (pem: string) => ({
    kty: 'EC',
    crv: 'P-256',
    x: 'AA',
    y: 'AA',
    use: 'x509-svid',
    x5c: [pem.replace(/-----[^-]+-----|\n/g, '')],
  })

  test('follows the bundle, does not go back, and lets nobody in of another trust domain', async () => {
    let bundle = {
      keys: [jwk(old.trust), { kty: 'EC', use: 'jwt-svid', kid: 'x' }],
      spiffe_sequence: 7,
      spiffe_refresh_hint: 300,
    } as object
    const endpoint = await service(({ url }) => (url.pathname === '/' ? json(bundle) : refused(404)))
    const server = await servers.server()
    const [key, cert] = [join(folder, 'spiffe.key'), join(folder, 'spiffe.crt')]
    writeFileSync(key, server.tls.key)
    chmodSync(key, 0o400)
    writeFileSync(cert, server.tls.cert)
    const settings = { TRUST_DOMAIN: 'acme.example', BUNDLE_ENDPOINT: endpoint }
    const { port, said } = await start('spiffe-bundle.mjs', [key, cert], settings)
    const stranger = await old.issue({ names: { uri: ['spiffe://other.example/alice'] } })
    expect(await who(port, stranger)).toBe('403')
    await rotates(port, () => {
      bundle = { keys: [jwk(young.trust)], spiffe_sequence: 8 }
    })
    bundle = { keys: [jwk(old.trust)], spiffe_sequence: 7 }
    await until(async () => /the bundle went back from 8 to 7/.test(said.text))
    expect(await who(port, bob)).toBe('CN=bob')
  })
})

describe('azure-key-vault.mjs', () => {
  const withOpenssl = requireTool('openssl', 'version')
  const pemPart = (pem: string) => pem.replace(/-----[^-]+-----|\n/g, '')

  /** A vault and the metadata service of a VM. */
  async function azure() {
    const certificates = new Map<string, string>()
    const secrets = new Map<string, { value: string; contentType: string }>()
    const metadata = await service(({ url, headers }) => {
      const { searchParams } = url
      const isRight =
        url.pathname === '/metadata/identity/oauth2/token' &&
        headers.metadata === 'true' &&
        headers['x-forwarded-for'] === undefined &&
        searchParams.get('api-version') === '2018-02-01' &&
        searchParams.get('resource') === 'https://vault.azure.net'
      if (!isRight) return { status: 400, body: '{"error":"invalid_request"}' }
      const expires_on = String(Math.floor(Date.now() / 1000) + 86_399)
      return json({
        access_token: 'eyJ.token',
        expires_in: '86399',
        expires_on,
        resource: 'https://vault.azure.net',
        token_type: 'Bearer',
      })
    })
    const vault = await service(({ url, headers }) => {
      if (headers.authorization !== 'Bearer eyJ.token') return refused(401)
      if (url.searchParams.get('api-version') !== '7.4') return refused(400)
      const [, kind, name = ''] = url.pathname.split('/')
      const id = `https://acme.vault.azure.net/${kind}/${name}/f60f2a4f8ae442cfb41ca2090bd4b769`
      if (kind === 'certificates' && certificates.has(name))
        return json({ id, cer: certificates.get(name), attributes: { enabled: true } })
      if (kind === 'secrets' && secrets.has(name)) return json({ id, ...secrets.get(name) })
      return { status: 404, body: '{"error":{"code":"CertificateNotFound"}}' }
    })
    return {
      certificates,
      secrets,
      settings: { KEY_VAULT_URL: vault, IMDS_ENDPOINT: metadata, SERVER_CERTIFICATE: 'api' },
    }
  }

  /** As `az keyvault certificate import` takes it and the vault gives it back: no passphrase. */
  function pfxOf({ certificate, chain, key }: TestCredential, extra: string[] = []): string {
    const [leaf, more, secret] = ['leaf.pem', 'more.pem', 'key.pem'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(leaf, certificate.pem)
    writeFileSync(more, [...chain.map(({ pem }) => pem), ...extra].join(''))
    writeFileSync(secret, key.pem, { mode: 0o600 })
    const args = ['pkcs12', '-export', '-inkey', secret, '-in', leaf, '-certfile', more, '-passout', 'pass:']
    return execFileSync('openssl', args).toString('base64')
  }

  withOpenssl('CER: a CA of the vault is trusted, and followed; the server’s PFX goes to Node as it is', async () => {
    const { certificates, secrets, settings } = await azure()
    const [first, second] = [await servers.server(), await servers.server()]
    certificates.set('clients-ca', pemPart(old.trust))
    secrets.set('api', { value: pfxOf(first), contentType: 'application/x-pkcs12' })
    const { port, said } = await start('azure-key-vault.mjs', [], { ...settings, CLIENT_CAS: 'clients-ca' })
    expect((await ask(port, alice)).serial).toBe(first.serialNumber)
    await rotatesServer(port, second, () => {
      secrets.set('api', { value: second.tls.key + second.tls.cert, contentType: 'application/x-pem-file' })
    })
    await rotates(port, () => {
      certificates.set('clients-ca', pemPart(young.trust))
    })
    expect(said.text).not.toContain('eyJ')
  })

  withOpenssl('PFX: the CAs in one are trusted, its end entity is not', async () => {
    const { secrets, settings } = await azure()
    secrets.set('api', { value: pfxOf(await servers.server()), contentType: 'application/x-pkcs12' })
    secrets.set('partners', { value: pfxOf(alice, [old.root.certificate.pem]), contentType: 'application/x-pkcs12' })
    const { port } = await start('azure-key-vault.mjs', [], { ...settings, CLIENT_CAS_PFX: 'partners' })
    expect([await who(port, alice), await who(port, bob)]).toEqual(['CN=alice', '403'])
  })
})
