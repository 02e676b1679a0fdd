/** The READMEs say what is so: their programs compile, their commands run, their tables are those of the source. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { burst } from '../src/core/bursts.js'
import { errorTable } from '../src/errors.js'
import { removalReasons } from '../src/ledger/anchor-report.js'
import { identityEventTypes } from '../src/ledger/identity-events.js'
import { limits } from '../src/limits.js'
import { strictProfile } from '../src/path/profile.js'
import * as rules from '../src/rules.js'
import { presets, textFields } from '../src/source/presets.js'
import { createTestPki, type TestCredential } from '../src/testing.js'
import { freePort } from './support/free-port.js'
import { redisProgram, startRedis } from './support/redis.js'

const repository = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(repository, file), 'utf8')
const run = promisify(execFile)
const readme = read('README.md')

/** The fenced blocks of a language, in order. */
const blocks = (...languages: string[]) =>
  [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, language]) => languages.includes(language ?? ''))
    .map(([, , text]) => text ?? '')

const isProgram = (text: string) => /^import /m.test(text)
const programs = blocks('js', 'ts').filter(isProgram)
const program = (...words: string[]) => programs.find((text) => words.every((word) => text.includes(word))) ?? ''

/** What a fragment takes for granted. */
const surroundings = `
import type { IncomingMessage, Server } from 'node:http'
import tls from 'node:tls'
import type { Express, RequestHandler } from 'express'
import { type Authenticator, authenticateUpgrade, type ClientIdentity, isClientCertError, rules, tlsServerOptions } from 'mtls-identity'
import { clientCert, requireClientCert } from 'mtls-identity/express'
declare const app: Express, auth: Authenticator, server: Server, handler: RequestHandler, key: string, cert: string
declare function openWebSocket(identity: ClientIdentity, until: Date): void
`

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mtls-identity-readme-'))
  cpSync(join(repository, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
  tsc('-p', join(repository, 'tsconfig.esm.json'), '--outDir', join(folder, 'dist/esm'))
  mkdirSync(join(folder, 'readme'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function tsc(...args: string[]): void {
  const options = { cwd: folder, encoding: 'utf8', stdio: 'pipe' } as const
  try {
    execFileSync(join(repository, 'node_modules/.bin/tsc'), args, options)
  } catch (error) {
    throw new Error((error as { stdout: string }).stdout)
  }
}

const inFolder = (name: string, text: string) => {
  const path = join(folder, 'readme', name)
  writeFileSync(path, text)
  return path
}

describe('what the README shows', () => {
  test('every block of JavaScript and TypeScript compiles against the package', () => {
    const found = blocks('js', 'ts')
    expect(found.length).toBeGreaterThan(12)
    const files = found.map((text, i) => inFolder(`block-${i}.ts`, isProgram(text) ? text : surroundings + text))
    const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--skipLibCheck']
    // Plain JavaScript has no place for the types of its parameters.
    const plain = ['--noImplicitAny', 'false', '--types', 'node', '--noEmit']
    // What one program declares of its principals is not so in the others.
    const registers = files.filter((_, i) => found[i]?.includes('interface Register'))
    for (const together of [registers, files.filter((file) => !registers.includes(file))]) {
      expect(together).not.toEqual([])
      tsc(...together, '--target', 'es2022', '--module', 'nodenext', ...strict, ...plain)
    }
  })

  test('the test with mtls-identity/testing passes', async () => {
    const file = inFolder('testing.mjs', program('mtls-identity/testing', 'assert'))
    expect(await run(process.execPath, [file])).toEqual({ stdout: '', stderr: '' })
  })

  const hasTools = ['openssl version', 'curl --version'].every((command) => succeeds(command))
  const newcomer = hasTools || process.env.CI ? test : test.skip
  newcomer.each([
    ['Express', 'mtls-identity/express'],
    ['Koa', 'mtls-identity/koa'],
  ])(
    `the commands make a client certificate, and %s knows its holder${hasTools ? '' : ' (openssl or curl is missing)'}`,
    async (_, entry) => {
      const [make = '', ask = ''] = blocks('sh').filter((text) => /^openssl |^curl /m.test(text))
      const port = await freePort()
      const onPort = (text: string) => text.replaceAll('8443', String(port))
      const cwd = mkdtempSync(join(folder, 'readme', 'newcomer-'))
      await run('bash', ['-ec', make], { cwd })

      const file = inFolder('start.mjs', onPort(program(entry, '// 3')))
      const server = spawn(process.execPath, [file], { cwd, stdio: 'ignore' })
      try {
        await answering(port)
        const [withCertificate = '', without = ''] = onPort(ask).trim().split('\n')
        expect((await run('bash', ['-c', `${withCertificate} --silent`], { cwd })).stdout).toBe(
          'Hello CN=alice,O=Acme\n',
        )
        const status = `${without} --silent --output /dev/null --write-out '%{http_code}'`
        expect((await run('bash', ['-c', status], { cwd })).stdout).toBe('401')
      } finally {
        server.kill()
        await once(server, 'exit')
      }
    },
    30_000,
  )

  test('the table of presets is that of the source, header names included', () => {
    const rows = new Map(
      [...(readme.split('### Presets')[1]?.split('###')[0] ?? '').matchAll(/^\| `'([\w.-]+)'` \| (.*?) \|/gm)].map(
        ([, name, header]) => [name, header],
      ),
    )
    expect([...rows.keys()].sort()).toEqual(Object.keys(presets).sort())
    for (const [name, { certificate }] of Object.entries(presets)) {
      const header = rows.get(name) ?? ''
      if (header !== 'the same')
        expect([name, header.toLowerCase()]).toEqual([name, expect.stringContaining(certificate ?? '?')])
    }
    for (const [field] of textFields)
      expect(readme).toMatch(new RegExp(field.source.replace(/^\^|\$$|\(.*$/g, ''), 'i'))
  })

  test('every configuration in examples/proxies is in its README, and names its preset', () => {
    const folder = join(repository, 'examples/proxies')
    const text = read('examples/proxies/README.md')
    for (const file of readdirSync(folder).filter((name) => name !== 'README.md')) {
      expect(text).toContain(`(${file})`)
      const own = read(`examples/proxies/${file}`) + text
      expect(Object.keys(presets).some((name) => own.includes(`preset: '${name}'`))).toBe(true)
    }
  })

  test('the nginx recipe is the example’s', () => {
    const squeezed = (text: string) => text.replace(/#.*/g, '').replace(/\s+/g, ' ')
    const [recipe = ''] = blocks('nginx')
    const example = squeezed(read('examples/proxies/nginx.conf'))
    for (const directive of squeezed(recipe).match(/(ssl_verify_client|error_page|proxy_set_header) [^;]+;/g) ?? []) {
      expect(example).toContain(directive)
    }
  })
})

function succeeds(command: string): boolean {
  const [program = '', ...args] = command.split(' ')
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Resolves when a server answers anything at all. */
async function answering(port: number): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      const request = https.get({ port, host: 'localhost', rejectUnauthorized: false, agent: false })
      const [response] = await once(request, 'response')
      response.resume()
      return
    } catch (error) {
      if (attempt === 200) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

test('the program of “In production” follows a new CA of the clients, and a new key of its own, without a restart', async () => {
  const [old, young, servers] = [await createTestPki(), await createTestPki(), await createTestPki()]
  const [first, second] = [await servers.server(), await servers.server()]
  const cwd = mkdtempSync(join(folder, 'readme', 'production-'))
  const write = (name: string, content: string) => {
    writeFileSync(join(cwd, `${name}.new`), content, { mode: 0o600 })
    renameSync(join(cwd, `${name}.new`), join(cwd, name))
  }
  write('clients-ca.pem', old.trust)
  write('issuing-ca.pem', old.intermediate.certificate.pem + young.intermediate.certificate.pem)
  write('server.key', first.tls.key)
  write('server.crt', first.tls.cert)
  const port = await freePort()
  const file = inFolder('production.mjs', program('superviseServer', 'credentials').replaceAll('8443', String(port)))
  const server = spawn(process.execPath, [file], { cwd, stdio: 'ignore' })
  const [alice, bob] = [await old.issue({ subject: 'CN=alice' }), await young.issue({ subject: 'CN=bob' })]
  const ask = async ({ tls }: typeof alice) => {
    const request = https.get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false, ...tls })
    const [response] = await once(request, 'response')
    const { serialNumber } = response.socket.getPeerCertificate()
    response.resume()
    return { status: response.statusCode, serialNumber }
  }
  const soon = async (isSo: () => Promise<boolean>) => {
    for (let attempt = 0; !(await isSo()); attempt++) {
      if (attempt === 100) throw new Error('nothing changed within 10 s')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  try {
    await answering(port)
    expect([(await ask(alice)).status, (await ask(bob)).status]).toEqual([200, 403])
    write('clients-ca.pem', old.trust + young.trust)
    await soon(async () => (await ask(bob)).status === 200)
    expect((await ask(alice)).status).toBe(200)
    write('clients-ca.pem', young.trust)
    await soon(async () => (await ask(alice)).status === 403)
    write('server.key', second.tls.key)
    write('server.crt', second.tls.cert)
    await soon(async () => (await ask(bob)).serialNumber === second.serialNumber)
    expect((await ask(bob)).status).toBe(200)
  } finally {
    server.kill()
    await once(server, 'exit')
  }
}, 60_000)

describe('the programs of “Rate limits” stop a client at its own limit, and who is refused again and again', () => {
  const hasRedis = redisProgram() !== undefined
  const programs: [name: string, countsRefusals: boolean, run: typeof test.skip][] = [
    ['express-rate-limit', true, test],
    ['koa-ratelimit', false, hasRedis ? test : test.skip],
    ['rate-limiter-flexible', true, hasRedis ? test : test.skip],
  ]
  for (const [name, countsRefusals, run] of programs) {
    const missing = run === test ? '' : ' (redis-server is missing)'
    run(
      `${name}${missing}`,
      async () => {
        const redis = hasRedis ? await startRedis() : undefined
        const pki = await createTestPki()
        const issue = (who: string) => pki.issue({ names: { email: [`${who}@acme.test`] } })
        const [alice, bob] = [await issue('alice'), await issue('bob')]
        const stranger = await (await createTestPki({ name: 'Other' })).issue()
        const cwd = mkdtempSync(join(folder, 'readme', 'limits-'))
        const { tls } = await pki.server()
        for (const [file, text] of [
          ['clients-ca.pem', pki.trust],
          ['server.key', tls.key],
          ['server.crt', tls.cert],
        ] as const) {
          writeFileSync(join(cwd, file), text)
        }
        const port = await freePort()
        const text = program(`'${name}'`)
          .replaceAll('8443', String(port))
          .replaceAll('redis://127.0.0.1:6379', redis?.path ?? '')
        const server = spawn(process.execPath, [inFolder(`${name}.mjs`, text)], { cwd, stdio: 'ignore' })
        const statuses = async (times: number, client: TestCredential, localAddress = '127.0.0.1') => {
          const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false, ...client.tls })
          const seen: Record<number, number> = {}
          for (let i = 0; i < times; i++) {
            const request = https.get({ port, host: '127.0.0.1', localAddress, agent } as https.RequestOptions)
            const [response] = await once(request, 'response')
            response.resume()
            await once(response, 'end')
            seen[response.statusCode] = (seen[response.statusCode] ?? 0) + 1
          }
          agent.destroy()
          return seen
        }
        try {
          await answering(port)
          expect(await statuses(103, alice)).toEqual({ 200: 100, 429: 3 })
          expect(await statuses(1, bob)).toEqual({ 200: 1 })
          const stopped = countsRefusals ? { 403: 20, 429: 2 } : { 403: 22 }
          expect(await statuses(22, stranger, '127.0.0.2')).toEqual(stopped)
          expect(await statuses(1, bob)).toEqual({ 200: 1 })
        } finally {
          server.kill()
          await once(server, 'exit')
          await redis?.stop()
        }
      },
      30_000,
    )
  }
})

describe('the tables of the README are those of the source', () => {
  const rowsOf = (name: string) =>
    readme
      .split('\n')
      .filter((line) => line.startsWith(`| \`${name}\` |`))
      .join('\n')

  test.each(Object.entries(errorTable))('%s', (code, { status, meaning }) => {
    expect(rowsOf(code)).toContain(`| \`${code}\` | ${status} | ${meaning} |`)
  })

  test.each(Object.entries(limits))('the limit %s', (name, number) => {
    expect(rowsOf(name)).toContain(`| \`${name}\` | ${number.toLocaleString('en')} |`)
  })

  test.each(Object.entries(strictProfile))('the default of %s', (name, value) => {
    const stated = rowsOf(name).split('|')[2] ?? ''
    // The signature algorithms are told in words.
    const wanted =
      name === 'signatureAlgorithms' ? ['SHA-2', 'Ed25519', 'ML-DSA'] : typeof value === 'object' ? value : [value]
    for (const part of wanted) expect(stated).toContain(String(part))
  })

  test('every rule has a row', () => {
    expect(Object.keys(rules).filter((name) => !readme.includes(`| \`rules.${name}(`))).toEqual([])
  })

  const withoutRow = (names: readonly string[]) => names.filter((name) => !readme.includes(`| \`'${name}'\` |`))

  test('every event about clients has a row, and every reason of report()', () => {
    expect(withoutRow(identityEventTypes)).toEqual([])
    expect(withoutRow(removalReasons)).toEqual([])
    expect(withoutRow(['second-seen'])).toEqual(['second-seen'])
  })

  test('what is said of bursts and memory is so', () => {
    const { refusals, milliseconds } = burst
    expect(readme).toContain(`${refusals} refusals within ${milliseconds / 1000} seconds`)
  })

  test('every warning has a row', () => {
    const codes = new Set(sources().flatMap((file) => read(file).match(/\bMTLS_[A-Z_]+\b/g) ?? []))
    expect(codes.size).toBeGreaterThan(0)
    expect([...codes].filter((code) => !readme.includes(`| \`${code}\` |`))).toEqual([])
  })
})

describe('links and scripts', () => {
  const scripts = Object.keys(JSON.parse(read('package.json')).scripts)

  test.each(['README.md', 'src/README.md'])('%s points at what is there', (file) => {
    const text = read(file)
    const here = join(repository, file, '..')
    const targets = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, target]) => target ?? '')
    expect(targets.filter((target) => !/^https:/.test(target) && !existsSync(join(here, target)))).toEqual([])

    const slug = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-')
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => slug(heading ?? ''))
    const fragments = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, fragment]) => fragment ?? '')
    expect(fragments.filter((fragment) => !anchors.includes(fragment))).toEqual([])

    const named = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, script]) => script ?? '')
    expect(named.filter((script) => !scripts.includes(script))).toEqual([])
  })
})

const sources = () =>
  readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `src/${file}`)

describe('the map of the sources', () => {
  const map = read('src/README.md')

  test('names every file, but for the parts of testing', () => {
    const files = sources().filter((file) => !file.startsWith('src/testing/'))
    expect(files.filter((file) => !map.includes(`\`${file.slice('src/'.length)}\``))).toEqual([])
  })

  test('names no file that is not there', () => {
    const named = [...map.matchAll(/`((?:[\w-]+\/)*[\w-]+\.ts)`/g)].map(([, file]) => file ?? '')
    const isThere = (file: string) => existsSync(join(repository, 'src', file)) || existsSync(join(repository, file))
    expect(named.filter((file) => !isThere(file))).toEqual([])
  })
})
