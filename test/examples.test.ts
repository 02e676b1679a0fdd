/** Every example runs as it stands, against the package as it is built. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { createTestPki, type TestPki } from '../src/testing.js'
import { builtPackage } from './support/built-package.js'
import { freePort } from './support/free-port.js'

const repository = join(import.meta.dirname, '..')
let folder: string
let pki: TestPki

beforeAll(async () => {
  folder = builtPackage()
  pki = await createTestPki()
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const running: ChildProcess[] = []
afterEach(async () => {
  for (const child of running.splice(0)) await ended(child)
})

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** Starts an example, and waits until it says that it listens. */
async function start(
  example: string,
  args: string[] = [],
  settings: Record<string, string> = {},
): Promise<{ port: number; says: string; child: ChildProcess }> {
  const port = await freePort()
  const env = { ...process.env, PORT: String(port), ...settings }
  const child = spawn(process.execPath, [join('examples', example), ...args], { cwd: folder, env })
  running.push(child)
  let says = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    says += text
  })
  for await (const text of child.stdout.setEncoding('utf8')) {
    says += text
    if (/ listens on /.test(says)) return { port, says, child }
  }
  throw new Error(`${example} ended: ${says}`)
}

function ask(options: https.RequestOptions): Promise<{ status: number | undefined; body: string }> {
  const { request } = options.ca === undefined ? http : https
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', agent: false, ...options }, async (response) => {
      const body = (await response.setEncoding('utf8').toArray()).join('')
      resolve({ status: response.statusCode, body })
    })
      .on('error', reject)
      .end()
  })
}

test('the demo answers everybody as expected, and says so without colours where nobody looks', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['examples/demo/demo.mjs'], { cwd: folder })
  expect(stderr).toBe('')
  expect(stdout).toMatch(/✓ (\d+) of \1 answered as expected/)
  expect(stdout).not.toMatch(/✗|\u001b/)
  expect(stdout.split('\n').filter((line) => line.length > 120)).toEqual([])
}, 60_000)

test('the demo fails where somebody gets in who should not', async () => {
  const rows = join(folder, 'examples/demo/demo.mjs')
  const text = readFileSync(rows, 'utf8')
  const broken = join(folder, 'examples/demo/broken.mjs')
  writeFileSync(
    broken,
    text.replace("check(url, expired, 'GET /whoami', 403", "check(url, expired, 'GET /whoami', 200"),
  )
  const run = promisify(execFile)(process.execPath, [broken], { cwd: folder })
  await expect(run).rejects.toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/✗ carol.*✗ \d+ of \d+ answered/s),
  })
}, 60_000)

test.each(['express.mjs', 'koa.mjs'])(
  '%s starts with certificates of its own, which go when it goes',
  async (example) => {
    const { port, says, child } = await start(example)
    const [ca, cert, key] = ['cacert', 'cert', 'key'].map(
      (name) => new RegExp(`--${name} (\\S+)`).exec(says)?.[1] ?? '',
    )
    const read = (path: string | undefined) => readFileSync(path ?? '', 'utf8')
    const answer = await ask({ port, ca: read(ca), cert: read(cert), key: read(key) })
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ subject: 'CN=alice,O=Example', via: 'tls' })
    expect(await ask({ port, ca: read(ca) })).toMatchObject({ status: 401 })

    await ended(child)
    expect(existsSync(dirname(ca ?? ''))).toBe(false)
  },
)

test.each(['express.mjs', 'koa.mjs'])('%s starts with the certificates it is given', async (example) => {
  const server = await pki.server()
  const { port } = await start(example, [
    write('clients-ca.pem', pki.trust),
    write('server.key', server.tls.key),
    write('server.crt', server.tls.cert),
  ])
  const bob = await pki.issue({ subject: 'CN=bob' })
  const answer = await ask({ port, ca: pki.trust, ...bob.tls })
  expect([answer.status, JSON.parse(answer.body).subject]).toEqual([200, 'CN=bob'])
})

test.each(['access/express.mjs', 'access/koa.mjs'])(
  '%s: readers, editors and admins by certificate, partners in a file that changes, users by certificate',
  async (example) => {
    const server = await pki.server()
    const table = write('partners.json', readFileSync(join(repository, 'examples/access/partners.json'), 'utf8'))
    const args = [
      write('clients-ca.pem', pki.trust),
      write('server.key', server.tls.key),
      write('server.crt', server.tls.cert),
    ]
    process.env.PARTNERS = table
    const { port } = await start(example, args)
    delete process.env.PARTNERS
    const clients = {
      alice: await pki.issue({ subject: 'CN=alice,O=Example' }),
      bob: await pki.issue({ subject: 'CN=bob,OU=Editors,O=Example' }),
      carol: await pki.issue({ subject: 'CN=carol,OU=Admins,O=Example' }),
      mallory: await pki.issue({ subject: 'CN=mallory,OU=Admins,O=Example' }),
      dave: await pki.issue({ subject: 'CN=dave,O=Example' }),
    }
    const statuses = async (method: string, path: string) => {
      const asked = Object.entries(clients).map(async ([name, { tls }]) => {
        const { status } = await ask({ port, ca: pki.trust, method, path, ...tls })
        return [name, status]
      })
      return Object.fromEntries(await Promise.all(asked))
    }
    // dave is nobody's user, and mallory is denied the catalogue whatever else she is.
    expect(await statuses('GET', '/me')).toEqual({ alice: 200, bob: 200, carol: 200, mallory: 200, dave: 403 })
    expect(await statuses('GET', '/catalogue')).toEqual({ alice: 200, bob: 200, carol: 200, mallory: 403, dave: 403 })
    expect(await statuses('PUT', '/catalogue/2')).toEqual({ alice: 403, bob: 200, carol: 200, mallory: 200, dave: 403 })
    expect(await statuses('DELETE', '/catalogue/3')).toMatchObject({ alice: 403, bob: 403, carol: 200 })
    const me = await ask({ port, ca: pki.trust, path: '/me', ...clients.bob.tls })
    expect(JSON.parse(me.body)).toEqual({ id: 2, name: 'Bob', plan: 'paid' })

    writeFileSync(table, JSON.stringify({ identities: [{ commonName: 'bob' }] }))
    const deadline = Date.now() + 10_000
    let seen: Record<string, number> = {}
    while (Date.now() < deadline && seen.alice !== 403) seen = await statuses('GET', '/catalogue')
    expect(seen).toEqual({ alice: 403, bob: 200, carol: 200, mallory: 200, dave: 403 })
  },
  30_000,
)

test('proxies/server.mjs reads what nginx sends, from where nginx is', async () => {
  const ca = write('clients-ca.pem', pki.trust)
  const issuing = write('issuing-ca.pem', pki.intermediate.certificate.pem)
  const { port } = await start('proxies/server.mjs', ['nginx', ca, issuing])
  const alice = await pki.issue({ subject: 'CN=alice' })
  const headers = { 'X-SSL-Client-Cert': encodeURIComponent(alice.certificate.pem) }
  const answer = await ask({ port, headers })
  expect(JSON.parse(answer.body)).toMatchObject({ subject: 'CN=alice', via: 'proxy' })
  expect(await ask({ port })).toMatchObject({ status: 401 })
  expect(await ask({ port, headers, localAddress: '127.0.0.2' })).toMatchObject({ status: 403 })
})

test('observability/pino.mjs logs every decision in a line of JSON, and no line holds a name, a token or a query', async () => {
  const server = await pki.server()
  const file = join(folder, 'api.log')
  const args = [
    write('clients-ca.pem', pki.trust),
    write('server.key', server.tls.key),
    write('server.crt', server.tls.cert),
  ]
  const { port } = await start('observability/pino.mjs', args, { LOG: file, LEVEL: 'debug', PSEUDONYM_KEY: 'a key' })
  const alice = await pki.issue({ subject: 'CN=alice secret' })
  const renewed = await pki.issue({ subject: 'CN=alice secret' })
  const bob = await pki.issue({ subject: 'CN=bob secret' })
  const stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=mallory secret' })
  const headers = {
    authorization: 'Bearer secret',
    cookie: 'session=secret',
    'x-forwarded-client-cert': 'Subject="CN=secret"',
    'user-agent': 'curl',
  }
  for (const client of [alice, alice, renewed, bob, stranger, undefined]) {
    await ask({ port, ca: pki.trust, path: '/?token=secret', headers, ...client?.tls })
  }

  const text = readFileSync(file, 'utf8')
  expect(text).not.toContain('secret')
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const decisions = lines.filter(({ audit }) => audit !== undefined)
  const [debug, info, warn] = [20, 30, 40]
  expect(decisions.map(({ level, audit }) => [level, audit.outcome, audit.fingerprint, audit.code])).toEqual([
    [info, 'accepted', alice.fingerprint, undefined],
    [debug, 'accepted', alice.fingerprint, undefined],
    [info, 'accepted', renewed.fingerprint, undefined],
    [info, 'accepted', bob.fingerprint, undefined],
    [warn, 'refused', stranger.fingerprint, 'ERR_CLIENT_CERT_UNKNOWN_ISSUER'],
    [warn, 'absent', undefined, 'ERR_CLIENT_CERT_ABSENT'],
  ])
  expect(decisions[0].request).toEqual({
    method: 'GET',
    path: '/',
    address: expect.stringMatching(/127\.0\.0\.1$/),
  })
  // Of one name, whatever the certificate: one pseudonym.
  const [first, second, third, other] = decisions.map(({ audit }) => audit.subject)
  expect(first).toMatch(/^[\w-]{16}$/)
  expect([second, third, other === first]).toEqual([first, first, false])
  const greeted = lines.filter(({ msg }) => msg === 'greeted')
  expect(greeted).toHaveLength(4)
  expect(greeted[0].headers).toMatchObject({ authorization: '[redacted]', cookie: '[redacted]', 'user-agent': 'curl' })
})

function write(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
