// Some of the clients: keep-alive connections over which requests go at a steady pace. Every answer is told to the parent.
import tls from 'node:tls'

/** Handshakes at once: the server has one thread for them. */
const handshakesAtOnce = 16
/** An answer that is late is no wrong decision; one that never comes is. */
const noAnswerMilliseconds = 60_000
/** Short, so that requests do not come in heaps. */
const tickMilliseconds = 2
/** Connections that are closed and opened again, twice in a row, of a thousand each second: the second time there is a session of the first. */
const renewedPerThousand = 2

const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

let records = []
const counts = { full: 0, resumed: 0, renewed: 0, closed: 0 }
let port
let key
const contexts = new Map()
const connections = []
/** Why connections could not be opened. */
const failures = {}

/** Made once for each certificate: to load a key takes a millisecond. */
function contextOf(cert) {
  let context = contexts.get(cert)
  if (context === undefined) {
    context = tls.createSecureContext(cert === undefined ? {} : { cert, key })
    contexts.set(cert, context)
  }
  return context
}

class Connection {
  #group
  #cn
  #context
  #socket
  #session
  #text = ''
  /** Of the request that waits for its answer. */
  #sent
  #sentAt = 0
  #answered
  #renewals = 0
  isIdle = false

  constructor({ group, cn, cert }) {
    this.#group = group
    this.#cn = cn
    this.#context = contextOf(cert)
  }

  /**
   * Resolves when its first request was answered; rejects where it cannot be opened.
   *
   * @param {() => void} afterHandshake
   */
  open(afterHandshake) {
    return new Promise((resolve, reject) => {
      const started = Date.now()
      const socket = tls.connect({
        host: '127.0.0.1',
        port,
        servername: 'localhost',
        secureContext: this.#context,
        rejectUnauthorized: false,
        ...(this.#session === undefined ? {} : { session: this.#session }),
      })
      let isOpen = false
      socket.on('session', (session) => {
        this.#session = session
      })
      socket.setNoDelay(true)
      socket.on('secureConnect', () => {
        isOpen = true
        afterHandshake()
        counts[socket.isSessionReused() ? 'resumed' : 'full']++
        this.#socket = socket
        this.#answered = resolve
        this.ask()
      })
      socket.on('data', (chunk) => this.#read(chunk))
      socket.on('error', (error) => {
        if (!isOpen) {
          failures[error.code ?? error.message] = (failures[error.code ?? error.message] ?? 0) + 1
          reject(error)
        }
      })
      socket.on('close', () => {
        if (!isOpen) return reject(new Error('closed in the handshake'))
        if (socket === this.#socket) this.#lost(started)
      })
    })
  }

  ask() {
    this.isIdle = false
    this.#sent = Date.now()
    this.#sentAt = performance.now()
    this.#socket.write(request)
  }

  isOverdue(now) {
    return this.#sent !== undefined && now - this.#sent > noAnswerMilliseconds
  }

  /** Closes it and opens it again, with the session it had; so many times. */
  renew(times = 2) {
    counts.renewed++
    this.#renewals = times - 1
    const socket = this.#socket
    this.isIdle = false
    this.#socket = undefined
    socket.end()
    reopen(this)
  }

  giveUp() {
    this.#record('no answer')
    this.#sent = undefined
  }

  #read(chunk) {
    this.#text += chunk.latin1Slice()
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#text)?.[1])
    const body = this.#text.slice(end + 4)
    if (body.length < length) return
    const status = Number(this.#text.slice(9, 12))
    this.#text = ''
    this.#record(this.#verdict(status, body))
    this.#sent = undefined
    this.isIdle = true
    this.#answered?.()
    this.#answered = undefined
    // The tickets came with the answer, at the latest.
    if (this.#renewals > 0) this.renew(this.#renewals)
  }

  /** The whole answer as one word: who somebody was taken for counts as much as whether he was let in. */
  #verdict(status, body) {
    const { cn, code } = JSON.parse(body)
    if (status !== 200) return `${status} ${code}`
    return cn === this.#cn ? 'accepted' : `accepted as ${cn}`
  }

  #record(verdict) {
    records.push([this.#group, verdict, this.#sent, Date.now(), performance.now() - this.#sentAt])
  }

  /** The server closed it. */
  #lost() {
    counts.closed++
    this.#sent ??= Date.now()
    this.#record('closed')
    this.#sent = undefined
    this.#text = ''
    this.#socket = undefined
    this.isIdle = false
    this.#answered?.()
    this.#answered = undefined
    reopen(this)
  }
}

const waiting = []
let opening = 0

function reopen(connection) {
  waiting.push(connection)
  next()
}

function next() {
  while (!isStopped && opening < handshakesAtOnce && waiting.length > 0) {
    opening++
    let isDone = false
    const done = () => {
      if (isDone) return
      isDone = true
      opening--
      next()
    }
    const connection = waiting.shift()
    // Its answer may take as long as a responder that hangs: no others wait for that.
    connection
      .open(done)
      .then(
        () => connection.onOpen?.(),
        (error) => connection.onFailure?.(error),
      )
      .finally(done)
  }
}

/** Opens them all; resolves when each has had its first answer, or could not be opened. */
async function open(list) {
  await Promise.all(
    list.map((each) => {
      const connection = new Connection(each)
      return new Promise((resolve) => {
        connection.onOpen = () => {
          connections.push(connection)
          connection.onOpen = undefined
          connection.onFailure = () => {
            const now = Date.now()
            records.push([each.group, 'not let in', now, now, 0])
          }
          resolve()
        }
        connection.onFailure = resolve
        reopen(connection)
      })
    }),
  )
}

let isStopped = false
let turn = 0

/** A steady number of requests a second, over all connections in turn; those that are busy are passed over. */
function run(rate) {
  const started = performance.now()
  let asked = 0
  let renewed = 0
  const timer = setInterval(() => {
    if (isStopped) return clearInterval(timer)
    const seconds = (performance.now() - started) / 1_000
    for (const due = seconds * rate; asked < due; asked++) {
      const connection = connections[turn++ % connections.length]
      if (connection?.isIdle) connection.ask()
    }
    for (const due = (seconds * connections.length * renewedPerThousand) / 1_000; renewed < due; renewed++) {
      const connection = connections[Math.floor(Math.random() * connections.length)]
      // Where handshakes queue, a connection that is open stays so.
      if (connection?.isIdle && waiting.length === 0) connection.renew()
    }
  }, tickMilliseconds)
  setInterval(() => {
    const now = Date.now()
    for (const connection of connections) if (connection.isOverdue(now)) connection.giveUp()
  }, 1_000).unref()
}

function flush() {
  if (records.length > 0) process.send({ type: 'records', records })
  records = []
}
setInterval(flush, 200)

process.on('disconnect', () => process.exit())
process.on('message', async (message) => {
  if (message.type === 'open') {
    ;({ port, key } = message)
    await open(message.connections)
    flush()
    process.send({ type: 'opened', open: connections.length, failures })
  } else if (message.type === 'run') run(message.rate)
  else if (message.type === 'stop') {
    isStopped = true
    // What is on its way is waited for.
    setTimeout(() => {
      flush()
      process.send({ type: 'stopped', counts })
    }, 1_000)
  }
})
