import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;

/** Connects to each target in turn, by sockets that wait and by channels that don't, and prints what they answer. */
public class Client {
    public static void main(String[] targets) throws Exception {
        for (int at = 0; at + 1 < targets.length; at += 2) {
            ask(new InetSocketAddress(targets[at], Integer.parseInt(targets[at + 1])));
        }
        for (int at = 0; at + 1 < targets.length; at += 2) {
            askInLoop(new InetSocketAddress(targets[at], Integer.parseInt(targets[at + 1])));
        }
    }

    static void ask(InetSocketAddress target) throws Exception {
        try (Socket socket = new Socket()) {
            socket.connect(target);
            socket.getOutputStream().write("who\n".getBytes());
            String answer = new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine();
            // The virtual machine remembers what it asked for: it never asks the kernel who the peer is.
            System.out.println(answer + " peer=unasked");
        }
    }

    static void askInLoop(InetSocketAddress target) throws Exception {
        try (Selector selector = Selector.open(); SocketChannel channel = SocketChannel.open()) {
            channel.configureBlocking(false);
            if (!channel.connect(target)) {
                channel.register(selector, SelectionKey.OP_CONNECT);
                selector.select();
                channel.finishConnect();
            }
            channel.register(selector, SelectionKey.OP_READ);
            channel.write(ByteBuffer.wrap("who\n".getBytes()));
            ByteBuffer answer = ByteBuffer.allocate(64);
            while (channel.read(answer) == 0) {
                selector.select();
            }
            System.out.println(new String(answer.array(), 0, answer.position()).trim() + " peer=unasked");
        }
    }
}
