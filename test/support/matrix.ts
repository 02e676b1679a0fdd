/** What the matrix is made of: who connects, how, and where to. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { join } from 'node:path'
import tls, { type SecureVersion, type TLSSocket } from 'node:tls'
import { type ClientCertErrorCode, errorTable } from '../../src/index.js'
import { createTestPki, type TestCredential } from '../../src/testing.js'
import { fileOf } from './clients.js'
import { compileInto } from './compiled.js'
import type { Moment, Protocol, Setting } from './matrix-application.js'
import type { Said } from './matrix-cluster.js'
import { children, day, hour, rebuild, seq, tlv } from './pki.js'
import { aMoment, until } from './revocation.js'
import { afterThisTest, folder, serverTls } from './servers.js'

export const kinds = [
  'none',
  'valid',
  'expired',
  'revoked',
  'unknown CA',
  'CA removed',
  'CA as client',
  'malformed',
] as const
export type Kind = (typeof kinds)[number]

type Credentials = Pick<TestCredential, 'tls'>
export type Cast = Awaited<ReturnType<typeof createCast>>

/** One client of each kind; the name in its certificate is its kind. */
export async function createCast() {
  const [lab, removed, other] = await Promise.all([
    createTestPki({ name: 'Lab' }),
    createTestPki({ name: 'Removed' }),
    createTestPki({ name: 'Other' }),
  ])
  const subject = (kind: Kind) => ({ subject: `CN=${kind}`, notAfter: new Date(Date.now() + 2 * day) })
  const ca = await lab.intermediate.issueAuthority(subject('CA as client'))
  const revoked = await lab.issue(subject('revoked'))
  const valid = await lab.issue(subject('valid'))
  const clients: Readonly<Record<Kind, Credentials | undefined>> = {
    none: undefined,
    valid,
    expired: await lab.issue({ ...subject('expired'), notAfter: new Date(Date.now() + hour) }),
    revoked,
    'unknown CA': await other.issue(subject('unknown CA')),
    'CA removed': await removed.issue(subject('CA removed')),
    'CA as client': {
      tls: { cert: [ca.certificate, ...ca.chain].map(({ pem }) => pem).join(''), key: ca.key.pem },
    },
    malformed: malformedTwin(await lab.issue(subject('malformed')), lab.intermediate),
  }
  const lists = await Promise.all(
    [lab, removed].flatMap(({ root, intermediate }) =>
      [root, intermediate].map((each) => each.crl({ nextUpdate: new Date(Date.now() + 7 * day) })),
    ),
  )
  const before: Moment = { later: 0, denied: [], trust: lab.trust + removed.trust }
  const after: Moment = { later: 2 * hour, denied: [revoked.fingerprint], trust: lab.trust }
  const crls = fileOf(lists.map(({ pem }) => pem).join(''), 'crl')
  const setting = async (): Promise<Setting> => ({
    trust: fileOf(before.trust),
    crls,
    intermediates: [lab, removed].map(({ intermediate }) => intermediate.certificate.pem),
    tls: await serverTls,
  })
  return { lab, clients, before, after, setting }
}

/** An extension whose `critical` is TRUE by 01 rather than FF: BER (X.690 §8.2.2), which OpenSSL takes, and not DER (§11.1). */
function malformedTwin(client: TestCredential, signer: { key: { pem: string } }): Credentials {
  const { der } = rebuild(client, signer, {
    extensions: (list) =>
      list.map((each) => {
        const [type, ...rest] = children(each) as [Uint8Array, ...Uint8Array[]]
        return rest.length === 1 ? each : seq(type, tlv(1, [1]), ...rest.slice(1))
      }),
  })
  const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`
  return { tls: { cert: pem + client.chain.map((each) => each.pem).join(''), key: client.tls.key } }
}

// ── Clients ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface How {
  readonly client: Credentials | undefined
  readonly version: SecureVersion
  readonly servername?: string
  readonly session?: Buffer | undefined
}

export interface Connection {
  /** `'accepted'`, the code of the refusal without what all begin with, or `'cut'`. */
  ask(): Promise<string>
  readonly reused: boolean
  readonly localPort: number
  session(): Buffer | undefined
  close(): void
}

/** A connection of that protocol, open. */
export async function connect(protocol: Protocol, port: number, kind: Kind, how: How): Promise<Connection> {
  const { client, version, session, servername = 'localhost' } = how
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    servername,
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
    ALPNProtocols: [protocol.startsWith('HTTP/2') ? 'h2' : 'http/1.1'],
    ...client?.tls,
    ...(session === undefined ? {} : { session }),
  })
  afterThisTest(() => socket.destroy())
  let ticket: Buffer | undefined
  socket.on('session', (each) => {
    ticket = each
  })
  await once(socket, 'secureConnect')
  socket.on('error', () => {})
  const ask = askers[protocol](socket)
  return {
    ask: () =>
      ask().then(
        (answer) => outcomeOf(answer, kind),
        () => 'cut',
      ),
    reused: socket.isSessionReused(),
    localPort: socket.localPort as number,
    session: () => ticket,
    close: () => socket.destroy(),
  }
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** An acceptance under another's name, or a status that is not the code's, is none of the outcomes there are. Status 0: not known. */
export function outcomeOf({ status, body }: Answer, kind: Kind): string {
  const { cn, code } = JSON.parse(body) as { cn?: string; code?: ClientCertErrorCode }
  const fits = (...statuses: (number | undefined)[]) => status === 0 || statuses.includes(status)
  if (cn !== undefined && fits(200, 101)) return cn === kind ? 'accepted' : `served as ${cn}`
  return code !== undefined && fits(errorTable[code]?.status)
    ? code.replace('ERR_CLIENT_CERT_', '')
    : `${status} ${body}`
}

/** Silence is no outcome either: it fails the cell, not the run. */
const soon = () => ({ signal: AbortSignal.timeout(5_000) })

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let all = ''
  for await (const chunk of stream) all += chunk
  return all
}

function overHttp1(socket: TLSSocket) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  agent.createConnection = () => socket
  return async () => {
    const request = http.get({ agent, host: 'localhost' })
    const [response] = (await once(request, 'response', soon())) as [http.IncomingMessage]
    return { status: response.statusCode ?? 0, body: await text(response) }
  }
}

function overHttp2(socket: TLSSocket) {
  const session = http2.connect('https://localhost', { createConnection: () => socket })
  session.on('error', () => {})
  return async () => {
    const stream = session.request({ ':path': '/' })
    const [headers] = (await once(stream, 'response', soon())) as [http2.IncomingHttpHeaders & { ':status'?: number }]
    return { status: headers[':status'] ?? 0, body: await text(stream) }
  }
}

/** Asks to be upgraded the first time. From then on it leaves the guard, which has a second, the time to cut it. */
function overUpgrade(socket: TLSSocket) {
  let isUpgraded = false
  return async () => {
    if (isUpgraded) await aMoment(2_500)
    if (socket.destroyed) throw new Error('cut')
    socket.write(
      isUpgraded ? 'who' : 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: who\r\n\r\n',
    )
    isUpgraded = true
    let answer = ''
    for (;;) {
      answer += await new Promise<string>((resolve, reject) => {
        socket.once('data', (chunk) => resolve(String(chunk)))
        socket.once('close', () => reject(new Error('cut')))
      })
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      if (body.endsWith('}')) return { status: Number(head.split(' ')[1]), body }
    }
  }
}

const askers: { readonly [P in Protocol]: (socket: TLSSocket) => () => Promise<Answer> } = {
  'HTTP/1.1 on Express 5': overHttp1,
  'HTTP/2 on a bare handler': overHttp2,
  'HTTP/2 on Koa 3': overHttp2,
  'an upgraded connection': overUpgrade,
}

// ── Other processes ──────────────────────────────────────────────────────────────────────────────────────────────

function compile(): string {
  const target = join(folder, 'compiled')
  compileInto(target, 'test/support/matrix-application.ts', 'test/support/matrix-cluster.ts')
  return join(target, 'test/support/matrix-cluster.js')
}

/** Two workers that share their ports, and by Node's doing their ticket keys. */
export async function startCluster(setting: Setting) {
  const child = fork(compile(), [fileOf(JSON.stringify(setting), 'json')], { execArgv: [] })
  const workers = new Map<number, number>()
  let [became, failed] = [() => {}, (_: Error) => {}]
  const ports = await new Promise<Readonly<Record<Protocol, number>>>((resolve, reject) => {
    failed = reject
    child.on('exit', (code) => failed(new Error(`the cluster ended with ${code}`)))
    child.on('message', (said: Said) => {
      if ('ports' in said) resolve(said.ports)
      else if ('became' in said) became()
      else workers.set(said.accepted.from, said.accepted.worker)
    })
  })
  return {
    portOf: (protocol: Protocol) => ports[protocol],
    /** The process that has the connection. */
    async workerOf({ localPort }: Connection): Promise<number> {
      await until(() => workers.has(localPort))
      return workers.get(localPort) as number
    },
    become: (moment: Moment) =>
      new Promise<void>((resolve, reject) => {
        became = resolve
        failed = reject
        child.send(moment, (error) => error && reject(error))
      }),
    stop: () => child.disconnect(),
  }
}
