// What a client does to a server: requests over connections kept open, and connections of one request each.

/**
 * Connections that stay open. The returned function has `count` requests answered, one at a time on each connection.
 *
 * @param {() => import('node:stream').Duplex} connect
 * @param {readonly Buffer[]} requests in turn
 */
export function keptAlive(connect, requests, connections = 16) {
  let [sent, answered, wanted] = [0, 0, 0]
  let finished = () => {}
  let failed = () => {}
  const ask = (socket) => {
    if (sent < wanted) socket.write(requests[sent++ % requests.length])
  }
  const sockets = Array.from({ length: connections }, () =>
    connect()
      .on('data', function answer(chunk) {
        if (!chunk.includes('200 OK')) failed(new Error(chunk.toString()))
        else if (++answered === wanted) finished()
        else ask(this)
      })
      .on('error', (error) => failed(error))
      .on('close', () => failed(new Error('the server closed a connection'))),
  )
  return (count) =>
    new Promise((resolve, reject) => {
      finished = resolve
      failed = reject
      wanted += count
      for (const socket of sockets) ask(socket)
    })
}

/**
 * `count` connections, a few at a time, each for one request.
 *
 * @param {(n: number) => import('node:stream').Duplex} connect
 * @param {Buffer} request which asks the server to close
 */
export async function connectionEach(connect, request, count, atOnce = 4) {
  let n = 0
  const one = () =>
    new Promise((resolve, reject) => {
      const chunks = []
      const socket = connect(n++)
      socket
        .on('data', (chunk) => chunks.push(chunk))
        .on('error', reject)
        .on('close', () => {
          const answer = Buffer.concat(chunks)
          if (answer.includes('200 OK')) resolve()
          else reject(new Error(`answered: ${answer}`))
        })
      socket.write(request)
    })
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (n < count) await one()
    }),
  )
}
