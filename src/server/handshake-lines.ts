import { LineLimit, withLeftOut } from '../core/line-limit.js'
import { escaped, quote } from '../help.js'

/** Gets the lines about clients that never reached the application: `mtls-identity CODE: fact — fix`. */
export type ServerLog = (line: string) => void

interface Peer {
  readonly remoteAddress?: string | undefined
  /** The code OpenSSL's verification ended with, where Node refused for it. */
  readonly authorizationError?: unknown
}

interface Failure {
  readonly code?: unknown
}

/** Writes what Node refuses by itself, and without a word: at most one line per code, cause and ten seconds. */
export class HandshakeLines {
  readonly #limit = new LineLimit()
  readonly #log: ServerLog | undefined
  readonly #now: () => number

  constructor(log: ServerLog | false | undefined, now: () => number) {
    this.#log = log === false ? undefined : (log ?? ((line) => process.stderr.write(`${line}\n`)))
    this.#now = now
  }

  /** An event `tlsClientError`: the handshake failed, or Node refused after it. */
  handshake(error: Failure, socket: Peer | undefined): void {
    const reason = socket?.authorizationError
    if (typeof reason === 'string' && reason !== '') {
      this.#write(
        'MTLS_HANDSHAKE_REFUSED',
        reason,
        `Node refused ${named(socket)} before the application (${escaped(reason)}) — set rejectUnauthorized: false; mtls-identity then answers 403 with a reason`,
      )
    } else if (error?.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') {
      this.#write(
        'MTLS_HANDSHAKE_REFUSED',
        'absent',
        `Node refused ${named(socket)} before the application (it sent no certificate) — set rejectUnauthorized: false; mtls-identity then answers 401 with a reason`,
      )
    }
  }

  /** An event `clientError`: Node's HTTP parser gave up. */
  http(error: Failure, socket: Peer | undefined, maxHeaderSize: number): void {
    const { code } = error ?? {}
    if (code === 'HPE_HEADER_OVERFLOW') {
      this.#write(
        'MTLS_HEADER_TOO_LARGE',
        '',
        `headers over maxHeaderSize ${maxHeaderSize} from ${address(socket)} — http.createServer({ maxHeaderSize: 65536 }), or forward the leaf only and set intermediates:`,
      )
    } else if (typeof code === 'string' && lineBreaks.has(code)) {
      this.#write(
        'MTLS_HEADER_REFUSED_BY_NODE',
        code,
        `${code} from ${address(socket)}: a header held a line break — nginx: use $ssl_client_escaped_cert`,
      )
    }
  }

  #write(code: string, subject: string, text: string): void {
    if (this.#log === undefined) return
    try {
      const left = this.#limit.admit(code, quote(subject), this.#now())
      if (left !== undefined) this.#log(withLeftOut(`mtls-identity ${code}: ${text}`, left))
    } catch {
      // A log that fails is the operator's.
    }
  }
}

/** What llhttp says where a header's value goes on in the next line, as nginx writes `$ssl_client_cert`. */
const lineBreaks = new Set(['HPE_CR_EXPECTED', 'HPE_LF_EXPECTED', 'HPE_INVALID_HEADER_TOKEN', 'HPE_UNEXPECTED_SPACE'])

const address = (peer: Peer | undefined) => (peer?.remoteAddress === undefined ? 'a peer' : escaped(peer.remoteAddress))
const named = (peer: Peer | undefined) =>
  peer?.remoteAddress === undefined ? 'a client' : `${escaped(peer.remoteAddress)}`
