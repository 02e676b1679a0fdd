import type { IncomingMessage } from 'node:http'
import type { AbsentDetail } from '../errors.js'
import { groupBy } from '../group-by.js'
import { Certificate } from '../x509/certificate.js'
import { parsePem } from '../x509/pem.js'
import { presets } from './presets.js'
import type { AnyRequest } from './source.js'

/** What a listening TLS server was told, as Node keeps it on the server object. */
interface ServerFacts {
  requestCert?: unknown
  ca?: unknown
}

/** A socket, as far as explaining an absence needs it. */
export interface SocketFacts {
  encrypted?: boolean
  remoteAddress?: string | undefined
  server?: ServerFacts
  isSessionReused?: () => boolean
  getProtocol?: () => string | null
}

const probes =
  /^(kube-probe|ELB-HealthChecker|GoogleHC|GoogleStackdriverMonitoring|Prometheus|Consul|Envoy\/HC|HAProxy|Blackbox)/i
const maximumAdvertised = 3

/** Why this request carries no certificate: the most telling of the things that can be seen from here. */
export function absentOnSocket(request: AnyRequest | undefined, socket: SocketFacts): AbsentDetail {
  const encrypted = socket.encrypted === true
  const requested = socket.server === undefined ? undefined : socket.server.requestCert === true
  const protocol = encrypted ? (call(socket.getProtocol, socket) ?? undefined) : undefined
  const base = {
    requested,
    encrypted,
    ...(protocol === undefined ? {} : { protocol }),
    ...requestFacts(request, socket),
  }
  if (request === undefined) return { ...base, cause: 'not-http' }
  const { headers } = request as IncomingMessage
  const unread = unreadHeader(request)
  if (unread !== undefined) return { ...base, ...unread, cause: 'header-unread' }
  const forwarded =
    headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined || headers.via !== undefined
  if (!encrypted) return { ...base, cause: forwarded ? 'behind-proxy' : 'plain-http' }
  if (requested === false) return { ...base, cause: 'not-requested' }
  if (isPreflight(request)) return { ...base, cause: 'preflight' }
  if (base.agent !== undefined && probes.test(base.agent)) return { ...base, cause: 'probe' }
  if (forwarded) return { ...base, cause: 'behind-proxy' }
  if (call(socket.isSessionReused, socket) === true) return { ...base, cause: 'resumed-without' }
  const names = advertisedNames(socket.server)
  if (names.length === 0) return { ...base, cause: 'none-sent' }
  return {
    ...base,
    cause: 'not-among-advertised',
    advertised: names.slice(0, maximumAdvertised),
    advertisedCount: names.length,
  }
}

/** The trusted proxy sent no certificate: either its client has none, or the proxy does not pass it on here. */
export function absentInHeader(
  request: AnyRequest,
  header: string,
  known: { readonly wasSent: boolean; readonly whereToLook: string },
): AbsentDetail {
  const detail = absentHeader(isPreflight(request) ? 'preflight' : 'header-absent', request, header)
  return { ...detail, ...known }
}

/** A field that some product sends certificates in: its name, and the presets that read it. Its value is not looked at. */
function unreadHeader({ rawHeaders }: AnyRequest): { header: string; presets: readonly string[] } | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i] as string
    const names = presetsOf.get(header.toLowerCase())
    if (names !== undefined) return { header, presets: names }
  }
  return undefined
}

const presetsOf = new Map(
  [...groupBy(Object.entries(presets), ([, { certificate }]) => certificate)].map(([header, rows]) => [
    header,
    rows.map(([name]) => name),
  ]),
)

/** Somebody else than the proxy came, and sent no header. */
export const absentFromStranger = (request: AnyRequest, header: string, gate: string): AbsentDetail => ({
  ...absentHeader('not-the-proxy', request, header),
  gate,
})

function absentHeader(cause: AbsentDetail['cause'], request: AnyRequest, header: string): AbsentDetail {
  const socket = request.socket as SocketFacts
  const facts = requestFacts(request, socket)
  return { cause, requested: undefined, encrypted: socket.encrypted === true, header, ...facts }
}

type RequestFacts = Pick<AbsentDetail, 'peer' | 'method' | 'path' | 'agent' | 'origin'>

function requestFacts(request: AnyRequest | undefined, { remoteAddress }: SocketFacts): RequestFacts {
  const peer = remoteAddress === undefined ? {} : { peer: remoteAddress }
  if (request === undefined) return peer
  const agent = request.headers['user-agent']
  const origin = request.headers.origin
  const path = request.url?.split('?', 1)[0]
  return {
    ...peer,
    ...(request.method === undefined ? {} : { method: request.method }),
    ...(path === undefined ? {} : { path }),
    ...(agent === undefined ? {} : { agent }),
    ...(origin === undefined ? {} : { origin }),
  }
}

/** Fetch Standard, CORS-preflight request: OPTIONS with Origin and Access-Control-Request-Method; it never carries a certificate. */
export function isPreflight({ method, headers }: AnyRequest): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

function call<T>(method: (() => T) | undefined, self: object): T | undefined {
  return typeof method === 'function' ? method.call(self) : undefined
}

/** What a server's `ca` says is read once: whoever comes without a certificate must not cost as many parsed ones as it holds. */
const advertised = new WeakMap<object, { ca: unknown; names: readonly string[] }>()

/** Names of the CAs in the server's `ca`, which is what its CertificateRequest lists. */
function advertisedNames(server: ServerFacts | undefined): readonly string[] {
  if (server === undefined) return []
  const known = advertised.get(server)
  if (known !== undefined && known.ca === server.ca) return known.names
  const entries: unknown[] = Array.isArray(server.ca) ? server.ca : [server.ca]
  const names = entries.flatMap(namesIn)
  advertised.set(server, { ca: server.ca, names })
  return names
}

function namesIn(entry: unknown): string[] {
  if (typeof entry !== 'string' && !(entry instanceof Uint8Array)) return []
  try {
    const text = typeof entry === 'string' ? entry : Buffer.from(entry).toString('latin1')
    return parsePem(text).map(({ bytes }) => Certificate.parse(bytes).subject.toString())
  } catch {
    // An explanation only: what we cannot read, Node may have.
    return []
  }
}
