import type { TLSSocket } from 'node:tls'
import { type AuthenticatorInternals, internals } from '../core/contract.js'
import { type AnyClientCertError, deny, isClientCertError } from '../errors.js'
import type { Hold } from '../ledger/anchor-records.js'
import { limits } from '../limits.js'
import { whenRejected } from '../thenable.js'
import type { DoorReport } from './connection-events.js'
import { type Watched, watchOf } from './connection-watch.js'
import { guardConnection } from './guard-connection.js'

export type OnIdentityEnd = (socket: TLSSocket, error: AnyClientCertError) => void

/** Decides before anybody else knows of the connection: on TLS 1.3 the handshake is over for the client already, and data may follow. */
export async function admit(
  socket: TLSSocket,
  auth: AuthenticatorInternals,
  onIdentityEnd: OnIdentityEnd | undefined,
  pass: () => boolean,
  tell?: DoorReport,
): Promise<void> {
  // Nobody else listens yet: an error would end the process.
  const ignore = () => {}
  socket.on('error', ignore)
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), limits.connectionDecisionMilliseconds)
  })
  const decision = await Promise.race([auth.authenticateSocket(socket), late])
  clearTimeout(timer)
  tell?.(decision)
  if (decision?.outcome !== 'accepted' || socket.destroyed) {
    socket.destroy()
    return
  }
  const onEnd = onIdentityEnd && ((error: AnyClientCertError) => onIdentityEnd(socket, error))
  guardConnection(socket, decision, onEnd === undefined ? {} : { onEnd })
  pass()
  socket.off('error', ignore)
}

/** A connection nobody was accepted on yet is looked at again after this. */
const strangerMilliseconds = 10_000

/** Closes connections whose identity no longer holds. Those on which nobody was accepted are none of its business. */
export class OpenConnections {
  readonly #auth: AuthenticatorInternals
  readonly #onIdentityEnd: OnIdentityEnd | undefined
  readonly #open = new Map<TLSSocket, () => void>()

  constructor(auth: AuthenticatorInternals, onIdentityEnd: OnIdentityEnd | undefined) {
    this.#auth = auth
    this.#onIdentityEnd = onIdentityEnd
  }

  add(socket: TLSSocket): void {
    const held = this.#auth[internals].hold(socket)
    const watched: Watched = {
      decidedAt: Number.NaN,
      validUntil: Number.NaN,
      check: () => this.#check(socket, watched, held),
      end: (error) => {
        forget()
        if (this.#onIdentityEnd === undefined) socket.destroy()
        else
          callOr(
            () => this.#onIdentityEnd?.(socket, error),
            () => socket.destroy(),
          )
      },
    }
    const forget = () => {
      held.release()
      socket.off('close', forget)
      this.#open.delete(socket)
      watchOf(this.#auth).remove(watched)
    }
    this.#open.set(socket, forget)
    socket.once('close', forget)
    watchOf(this.#auth).add(watched)
  }

  close(): void {
    for (const forget of [...this.#open.values()]) forget()
  }

  async #check(socket: TLSSocket, watched: Watched, held: Hold): Promise<AnyClientCertError | undefined> {
    try {
      const { standingOf, authenticateAgain, settings } = this.#auth[internals]
      const standing = standingOf(socket)
      const at = settings.now()
      if (standing === undefined) {
        watched.decidedAt = at
        watched.validUntil = at + strangerMilliseconds
        return undefined
      }
      const authentication = await authenticateAgain(standing)
      if (isClientCertError(authentication)) return authentication
      held.by(authentication.path)
      watched.decidedAt = authentication.decidedAt
      watched.validUntil = authentication.holdsUntil
      return undefined
    } catch (cause) {
      return deny('ERR_CLIENT_CERT_INTERNAL', { stage: 'looking after a connection' }, { cause })
    }
  }
}

/** A callback that throws has not taken care of it. */
function callOr(call: () => unknown, otherwise: () => void): void {
  try {
    whenRejected(call(), otherwise)
  } catch {
    otherwise()
  }
}
