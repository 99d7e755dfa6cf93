// A TCP forwarder whose connections a test can cut.

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Passes bytes between those who connect to it and a target, until told otherwise. */
export class Forwarder {
  /** How many connections there have been. */
  connections = 0;
  /**
   * Says of each piece that the target sends what becomes of it. "cut" cuts the connection in its place, "half" after half
   * of it.
   */
  onAnswer: (piece: Buffer) => "pass" | "drop" | "cut" | "half" = () => "pass";
  /** Refuse, as a server that is down. */
  down = false;
  private readonly open = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly address: string,
  ) {}

  static async to(target: string): Promise<Forwarder> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const forwarder = new Forwarder(server, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [host = "", port = ""] = target.split(":");
    server.on("connection", (near) => forwarder.join(near, connect(Number(port), host)));
    return forwarder;
  }

  private join(near: Socket, far: Socket): void {
    this.connections++;
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      this.open.add(socket);
      socket.on("error", () => {}); // a cut connection is what this is for
      socket.on("close", () => {
        this.open.delete(socket);
        other.destroy();
      });
    }
    if (this.down) return void near.resetAndDestroy();
    near.on("data", (piece) => far.write(piece));
    far.on("data", (piece) => {
      const what = this.onAnswer(piece);
      if (what === "pass") near.write(piece);
      if (what === "cut") near.resetAndDestroy();
      if (what === "half") near.end(piece.subarray(0, piece.length / 2));
    });
  }

  /** Cuts every connection there is. */
  cut(): void {
    for (const socket of this.open) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    this.server.close();
    this.cut();
    await once(this.server, "close");
  }
}
